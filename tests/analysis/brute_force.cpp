#include "analysis/brute_force.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace phase0::analysis::testing {
namespace {

std::vector<double> means(const Labelled& data, const std::vector<std::int64_t>& rows) {
  std::vector<double> result;
  for (std::int64_t j = 0; j < data.split.source->frame_dim(); ++j) {
    double sum = 0;
    for (const std::int64_t row : rows) sum += data.z(row, j);
    result.push_back(sum / static_cast<double>(rows.size()));
  }
  return result;
}

std::vector<double> squared_deviations(const Labelled& data, const std::vector<std::int64_t>& rows) {
  const std::vector<double> mean = means(data, rows);
  std::vector<double> result(mean.size(), 0);
  for (const std::int64_t row : rows) {
    for (std::size_t j = 0; j < mean.size(); ++j) {
      result[j] += std::pow(data.z(row, static_cast<std::int64_t>(j)) - mean[j], 2);
    }
  }
  return result;
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

std::set<std::int32_t> ids_of(const Labelled& data, const std::vector<std::int64_t>& rows) {
  std::set<std::int32_t> ids;
  for (const std::int64_t row : rows) ids.insert(data.ids[static_cast<std::size_t>(row)]);
  return ids;
}

std::vector<std::int64_t> rows_of(const Labelled& data, const std::vector<std::int64_t>& rows,
                                  std::int32_t id) {
  return filter(rows, [&](std::int64_t row) { return data.ids[static_cast<std::size_t>(row)] == id; });
}

}  // namespace

double Labelled::z(std::int64_t row, std::int64_t j) const {
  const auto column = static_cast<std::size_t>(j);
  const auto delta =
      static_cast<double>(split.delta[static_cast<std::size_t>(row) * problem.mu.size() + column]);
  return (delta - problem.mu[column]) / problem.input.sigma[column];
}

Labelled labelled(const Problem& problem, const TestSplit& split, std::size_t cell) {
  Labelled data{problem, split, split.ids[cell], {}};
  const auto& train = problem.train.ids[cell];
  for (std::int32_t id = 0; id < problem.input.cells[cell].n_clusters; ++id) {
    data.effective.push_back(std::count(train.begin(), train.end(), id) >=
                             problem.options.clustering.min_cluster_size);
  }
  return data;
}

bool in_slice(const SliceOptions& slice, const TestSplit& split, std::int64_t row) {
  const auto i = static_cast<std::size_t>(row);
  if (slice.filter == SliceFilterKind::kEnergyAboveMedian) return split.high_energy[i] != 0;
  if (slice.filter == SliceFilterKind::kPosFrac) {
    return split.pos_frac[i] >= slice.pos_frac_min && split.pos_frac[i] <= slice.pos_frac_max;
  }
  return true;
}

std::vector<std::int64_t> included_rows(const Labelled& data, const SliceOptions& slice) {
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < data.split.n_rows(); ++row) {
    if (in_slice(slice, data.split, row) && data.included(row)) rows.push_back(row);
  }
  return rows;
}

SumsOfSquares sums_of_squares(const Labelled& data, const std::vector<std::int64_t>& rows) {
  SumsOfSquares result;
  result.total = sum(squared_deviations(data, rows));
  for (const std::int32_t id : ids_of(data, rows)) {
    result.within += sum(squared_deviations(data, rows_of(data, rows, id)));
    ++result.clusters;
  }
  return result;
}

double variance_ratio(const Labelled& data, const std::vector<std::int64_t>& rows) {
  const SumsOfSquares sums = sums_of_squares(data, rows);
  return sums.within / sums.total;
}

double entropy(const Labelled& data, const std::vector<std::int64_t>& rows) {
  double result = 0;
  for (const double squares : squared_deviations(data, rows)) {
    result += 0.5 * std::log(std::max(squares / static_cast<double>(rows.size()), 1e-10));
  }
  return result;
}

double conditional_entropy(const Labelled& data, const std::vector<std::int64_t>& rows) {
  double weighted = 0;
  double count = 0;
  for (const std::int32_t id : ids_of(data, rows)) {
    const auto own = rows_of(data, rows, id);
    if (own.size() < 2) continue;
    weighted += static_cast<double>(own.size()) * entropy(data, own);
    count += static_cast<double>(own.size());
  }
  return weighted / count;
}

double mean_variance(const Labelled& data, const std::vector<std::int64_t>& rows) {
  return sum(squared_deviations(data, rows)) / static_cast<double>(rows.size()) /
         static_cast<double>(data.problem.mu.size());
}

std::vector<std::int64_t> filter(const std::vector<std::int64_t>& rows,
                                 const std::function<bool(std::int64_t)>& keep) {
  std::vector<std::int64_t> kept;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(kept), keep);
  return kept;
}

}  // namespace phase0::analysis::testing
