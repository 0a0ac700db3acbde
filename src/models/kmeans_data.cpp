#include "models/kmeans_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/moments.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kSampleRows = 64;
constexpr std::int64_t kSampleBytes = std::int64_t{1} << 20;  // of more than a few rows
/// Rows whose root mean square deviation is so many times what they typically differ by have their mean far
/// from most of them.
constexpr double kFarMean = 0x1p8;
/// The same where float64 sums of squares and fixed-point sums of rows leave nothing of what most differ by.
constexpr double kLostDigits = 0x1p24;

/// Some rows, spread evenly over all, [n, d].
std::vector<float> spread_rows(const data::FeatureSource& rows) {
  const std::int64_t few = kSampleBytes / (rows.frame_dim() * static_cast<std::int64_t>(sizeof(float)));
  const std::int64_t n = std::min(std::clamp<std::int64_t>(few, 8, kSampleRows), rows.n_rows());
  std::vector<float> values;
  data::FeatureBlock block;
  for (std::int64_t i = 0; i < n; ++i) {
    rows.load(i * rows.n_rows() / n, 1, block);
    values.insert(values.end(), block.matrix(), block.matrix() + rows.frame_dim());
  }
  return values;
}

/// By how much rows differ in a column, not counting equal ones: the upper quartile of neighbours' root mean
/// square differences, which a few far rows do not move. 0 when all are equal.
double typical_difference(const std::vector<float>& rows, std::int64_t d) {
  std::vector<double> differences;
  for (std::size_t at = static_cast<std::size_t>(d); at < rows.size(); at += static_cast<std::size_t>(d)) {
    double squared = 0;
    for (std::size_t j = at; j < at + static_cast<std::size_t>(d); ++j) {
      const double difference =
          static_cast<double>(rows[j]) - static_cast<double>(rows[j - static_cast<std::size_t>(d)]);
      squared += difference * difference;
    }
    if (squared > 0) differences.push_back(std::sqrt(squared / static_cast<double>(d)));
  }
  if (differences.empty()) return 0;
  const auto quartile = differences.begin() + 3 * (std::ssize(differences) - 1) / 4;
  std::nth_element(differences.begin(), quartile, differences.end());
  return *quartile;
}

/// The median of every column.
std::vector<float> middle_of(const std::vector<float>& rows, std::int64_t d) {
  std::vector<float> middle;
  for (std::int64_t j = 0; j < d; ++j) {
    std::vector<float> column;
    for (std::int64_t at = j; at < std::ssize(rows); at += d)
      column.push_back(rows[static_cast<std::size_t>(at)]);
    const auto half = column.begin() + std::ssize(column) / 2;
    std::nth_element(column.begin(), half, column.end());
    middle.push_back(*half);
  }
  return middle;
}

/// The largest power of two for which a row's value stays under 2^50 and a sum over any rows under 2^62. By
/// Cauchy and Schwarz no sum exceeds n times the root mean square of the shifted rows.
double choose_scale(double largest, double root_mean_square, std::int64_t n_rows) {
  const auto exponent = [](double value) {
    return static_cast<int>(std::ceil(std::log2(std::max(value, 1e-300))));
  };
  const double largest_sum = root_mean_square * static_cast<double>(n_rows);
  const int bits = std::min(50 - exponent(largest), 62 - exponent(largest_sum)) - 1;
  return std::ldexp(1.0, std::clamp(bits, -1000, 1000));
}

}  // namespace

KMeansData prepare_kmeans(const data::FeatureSource& rows, core::Execution& execution,
                          const std::string& label) {
  const Moments moments = column_moments(rows, execution, label + ": moments");
  const std::int64_t d = rows.frame_dim();
  KMeansData data{rows, {}, 0, 0, 1};
  const std::vector<double> means = moments.mean();
  const std::vector<double> variances = moments.variance(0);
  for (const double mean : means) data.shift.push_back(static_cast<float>(mean));
  for (const double variance : variances) data.mean_variance += variance;
  data.mean_variance /= static_cast<double>(d);

  const std::vector<float> sample = spread_rows(rows);
  const double typical = typical_difference(sample, d);
  const double deviation = std::sqrt(data.mean_variance);
  if (typical > 0 && deviation > kLostDigits * typical) {
    const Moments::Extreme far = moments.farthest(data.shift);
    throw Error(
        ErrorKind::kData,
        fmt::format("{}: the value {:g} in column {} lies so far from the other rows, which differ by "
                    "about {:.2g}, that sums of both lose the digits of those; is it a fault of the input?",
                    label, far.value, far.column, typical));
  }
  if (typical > 0 && deviation > kFarMean * typical) data.shift = middle_of(sample, d);

  const auto n_rows = static_cast<double>(rows.n_rows());
  double largest_square = 0;
  for (std::size_t j = 0; j < means.size(); ++j) {
    const double apart = means[j] - static_cast<double>(data.shift[j]);
    const double mean_square = variances[j] + apart * apart;
    data.sum_of_squares += n_rows * mean_square;
    largest_square = std::max(largest_square, mean_square);
  }
  data.fixed_scale =
      choose_scale(moments.farthest(data.shift).deviation, std::sqrt(largest_square), rows.n_rows());
  return data;
}

}  // namespace phase0::models
