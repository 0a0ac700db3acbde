#include "models/kmeans_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/spread_rows.h"
#include "models/moments.h"

namespace phase0::models {
namespace {

/// Rows whose root mean square deviation is so many times what they typically differ by have their mean far
/// from most of them.
constexpr double kFarMean = 0x1p8;
/// Fixed-point units that a typical difference is to have at least: sums of rows lose the digits of less.
constexpr double kLeastUnits = 0x1p14;

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

/// The mean, rounded; or the middle of the sample where the mean is far from most rows.
std::vector<float> choose_shift(const Moments& moments, double deviation, double typical,
                                const std::vector<float>& sample) {
  const std::vector<double> means = moments.mean();
  if (typical > 0 && deviation > kFarMean * typical) return data::column_medians(sample, std::ssize(means));
  return {means.begin(), means.end()};
}

/// Mean squares of the shifted rows, per column.
std::vector<double> mean_squares(const Moments& moments, const std::vector<float>& shift) {
  std::vector<double> squares = moments.variance(0);
  for (std::size_t j = 0; j < squares.size(); ++j) {
    const double apart = moments.mean()[j] - static_cast<double>(shift[j]);
    squares[j] += apart * apart;
  }
  return squares;
}

/// The largest power of two for which a row's value stays under 2^50 and a sum over any rows under 2^62. By
/// Cauchy and Schwarz no sum exceeds n times the root mean square of the shifted rows.
double choose_scale(double largest, double root_mean_square, std::int64_t n_rows) {
  const auto exponent = [](double value) { return std::ilogb(std::max(value, 1e-300)) + 1; };
  const double largest_sum = root_mean_square * static_cast<double>(n_rows);
  const int bits = std::min(50 - exponent(largest), 62 - exponent(largest_sum));
  return std::ldexp(1.0, std::clamp(bits, -1000, 1000));
}

}  // namespace

KMeansData prepare_kmeans(const data::FeatureSource& rows, core::Execution& execution,
                          const std::string& label) {
  const Moments moments = column_moments(rows, execution, label + ": moments");
  const auto d = static_cast<double>(rows.frame_dim());
  const auto n = static_cast<double>(rows.n_rows());
  const auto sum = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
  };
  const std::vector<float> sample = data::spread_rows(rows);
  const double typical = typical_difference(sample, rows.frame_dim());

  const double mean_variance = sum(moments.variance(0)) / d;
  KMeansData data{rows, choose_shift(moments, std::sqrt(mean_variance), typical, sample), mean_variance};
  const std::vector<double> squares = mean_squares(moments, data.shift);
  data.sum_of_squares = n * sum(squares);
  const Moments::Extreme far = moments.farthest(data.shift);
  data.fixed_scale = choose_scale(far.deviation, std::sqrt(*std::max_element(squares.begin(), squares.end())),
                                  rows.n_rows());
  if (typical > 0 && typical * data.fixed_scale < kLeastUnits) {
    throw Error(
        ErrorKind::kData,
        fmt::format("{}: the value {:g} in column {} lies so far from the other rows, which differ by "
                    "about {:.2g}, that sums of both lose the digits of those; is it a fault of the input?",
                    label, far.value, far.column, typical));
  }
  return data;
}

}  // namespace phase0::models
