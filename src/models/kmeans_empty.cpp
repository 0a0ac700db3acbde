#include "models/kmeans_empty.h"

#include <algorithm>

#include "linalg/kernels.h"

namespace phase0::models {
namespace {

/// A row that an empty cluster may be moved to.
struct FarRow {
  double squared = 0;
  std::int64_t row = 0;
  std::int32_t label = 0;
};
bool farther(const FarRow& a, const FarRow& b) {
  return a.squared != b.squared ? a.squared > b.squared : a.row < b.row;
}

void keep_farthest(std::vector<FarRow>& rows, std::int64_t n) {
  const auto count = std::min<std::ptrdiff_t>(n, std::ssize(rows));
  std::partial_sort(rows.begin(), rows.begin() + count, rows.end(), farther);
  rows.resize(static_cast<std::size_t>(count));
}

/// The `n` rows farthest from their centroid, not counting rows that lie on it; farthest first.
std::vector<FarRow> farthest_rows(const KMeansData& data, const std::vector<float>& centroids, std::int64_t n,
                                  data::ScanRoom& room,
                                  std::vector<linalg::NearestCentroids::Workspace>& workspaces) {
  const std::int64_t d = data.rows.frame_dim();
  const linalg::NearestCentroids nearest(centroids, {std::ssize(centroids) / d}, d, data.shift);
  std::vector<std::vector<FarRow>> partial(static_cast<std::size_t>(room.slots()));
  std::vector<FarRow> best;
  data::scan(
      data.rows, room, "",
      [&](std::int64_t, std::int64_t slot, int worker, const data::FeatureBlock& block) {
        auto& workspace = workspaces[static_cast<std::size_t>(worker)];
        nearest.assign(block.matrix(), block.n_rows, workspace);
        auto& rows = partial[static_cast<std::size_t>(slot)];
        rows.clear();
        rows.reserve(static_cast<std::size_t>(block.n_rows));
        for (std::int64_t r = 0; r < block.n_rows; ++r) {
          // In float64: a row on its centroid must count as distance 0, or reseeding would never settle.
          const double squared = linalg::kernels().squared_distance(
              block.matrix() + r * d, centroids.data() + workspace.labels[r] * d, d);
          if (squared > 0) rows.push_back({squared, block.first_row + r, workspace.labels[r]});
        }
        keep_farthest(rows, n);
      },
      [&](std::int64_t, std::int64_t count) {
        for (std::int64_t slot = 0; slot < count; ++slot) {
          const auto& rows = partial[static_cast<std::size_t>(slot)];
          best.insert(best.end(), rows.begin(), rows.end());
        }
        keep_farthest(best, n);
      });
  return best;
}

}  // namespace

std::int64_t reseed_empty(const KMeansData& data, const std::vector<float>& centroids, ClusterSums& sums,
                          data::ScanRoom& room,
                          std::vector<linalg::NearestCentroids::Workspace>& workspaces) {
  const std::int64_t k = std::ssize(centroids) / data.rows.frame_dim();
  const std::int64_t n_empty = sums.n_empty(0);
  const std::vector<FarRow> far = farthest_rows(data, centroids, n_empty + k, room, workspaces);
  std::int64_t moved = 0;
  auto next = far.begin();
  data::FeatureBlock block;
  for (std::int64_t c = 0; c < k && moved < n_empty; ++c) {
    if (sums.counts(0)[c] != 0) continue;
    while (next != far.end() && sums.counts(0)[next->label] < 2) ++next;
    if (next == far.end()) break;
    data.rows.load(next->row, 1, block);
    sums.add_row(block.matrix(), 0, c);
    sums.remove_row(block.matrix(), 0, next->label);
    ++next;
    ++moved;
  }
  return moved;
}

std::int64_t reseeding_block_bytes(const data::SourceShape& rows, std::int64_t k) {
  return static_cast<std::int64_t>(sizeof(FarRow)) * (std::min(rows.block_rows, rows.n_rows) + 2 * k);
}

}  // namespace phase0::models
