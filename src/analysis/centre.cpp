#include "analysis/centre.h"

#include <algorithm>

namespace phase0::analysis {
namespace {

constexpr std::int64_t kPieces = 64;
constexpr std::int64_t kPieceRows = 4;

}  // namespace

std::vector<double> centre_of(const data::FeatureSource& rows) {
  const std::int64_t d = rows.frame_dim();
  std::vector<float> values;  // [rows, D]
  data::FeatureBlock block;
  const std::int64_t step = std::max(rows.n_rows() / kPieces, kPieceRows);
  for (std::int64_t first = 0; first < rows.n_rows(); first += step) {
    const std::int64_t n = std::min(kPieceRows, rows.n_rows() - first);
    rows.load(first, n, block);
    values.insert(values.end(), block.matrix(), block.matrix() + n * d);
  }
  std::vector<double> medians(static_cast<std::size_t>(d), 0.0);
  std::vector<float> column(values.size() / medians.size());
  if (column.empty()) return medians;
  for (std::size_t j = 0; j < medians.size(); ++j) {
    for (std::size_t r = 0; r < column.size(); ++r) column[r] = values[r * medians.size() + j];
    const auto middle = column.begin() + std::ssize(column) / 2;
    std::nth_element(column.begin(), middle, column.end());
    medians[j] = static_cast<double>(*middle);
  }
  return medians;
}

}  // namespace phase0::analysis
