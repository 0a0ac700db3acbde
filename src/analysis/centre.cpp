#include "analysis/centre.h"

#include <algorithm>

namespace phase0::analysis {
namespace {

constexpr std::int64_t kPieces = 64;
constexpr std::int64_t kPieceRows = 64;

}  // namespace

std::vector<double> centre_of(const data::FeatureSource& rows) {
  std::vector<double> mean(static_cast<std::size_t>(rows.frame_dim()), 0.0);
  std::int64_t n_read = 0;
  data::FeatureBlock block;
  const std::int64_t step = std::max(rows.n_rows() / kPieces, kPieceRows);
  for (std::int64_t first = 0; first < rows.n_rows(); first += step) {
    const std::int64_t n = std::min(kPieceRows, rows.n_rows() - first);
    rows.load(first, n, block);
    for (std::int64_t i = 0; i < n * rows.frame_dim(); ++i) {
      mean[static_cast<std::size_t>(i % rows.frame_dim())] += static_cast<double>(block.matrix()[i]);
    }
    n_read += n;
  }
  for (double& value : mean) value /= static_cast<double>(std::max<std::int64_t>(n_read, 1));
  return mean;
}

}  // namespace phase0::analysis
