#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "analysis/problem.h"

/// The formulas of the metrics, written down as they stand, in float64 and with every row in memory.
namespace phase0::analysis::testing {

/// Rows, normalised, with the ids of one cell.
struct Labelled {
  const Problem& problem;
  const TestSplit& split;
  std::vector<std::int32_t> ids;  ///< [N]
  std::vector<bool> effective;    ///< [id]

  double z(std::int64_t row, std::int64_t j) const;
  bool included(std::int64_t row) const { return effective[static_cast<std::size_t>(ids[row])]; }
};

/// `cell`'s ids on a split, with the effective clusters counted on train.
Labelled labelled(const Problem& problem, const TestSplit& split, std::size_t cell);

bool in_slice(const SliceOptions& slice, const TestSplit& split, std::int64_t row);

/// Included rows of a slice, ascending.
std::vector<std::int64_t> included_rows(const Labelled& data, const SliceOptions& slice);

struct SumsOfSquares {
  double within = 0;
  double total = 0;
  std::int64_t clusters = 0;
};
SumsOfSquares sums_of_squares(const Labelled& data, const std::vector<std::int64_t>& rows);

double variance_ratio(const Labelled& data, const std::vector<std::int64_t>& rows);

/// 0.5 * sum_d ln max(var_d, 1e-10).
double entropy(const Labelled& data, const std::vector<std::int64_t>& rows);
/// Count-weighted mean over clusters with at least 2 rows.
double conditional_entropy(const Labelled& data, const std::vector<std::int64_t>& rows);

/// Mean over dimensions of the variance (ddof 0).
double mean_variance(const Labelled& data, const std::vector<std::int64_t>& rows);

/// Rows that fulfil a predicate.
std::vector<std::int64_t> filter(const std::vector<std::int64_t>& rows,
                                 const std::function<bool(std::int64_t)>& keep);

}  // namespace phase0::analysis::testing
