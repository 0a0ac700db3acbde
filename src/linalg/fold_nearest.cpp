#include "linalg/fold_nearest.h"

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::linalg {

FoldNearest::FoldNearest(std::span<const float> points, std::int64_t n_sets, std::span<const float> shift,
                         const Kernels& set)
    : kernels_(set),
      d_(std::ssize(shift)),
      n_sets_(n_sets),
      n_points_(std::ssize(points) / d_),
      n_padded_(core::round_up(n_points_, set.fold.point_group)),
      shift_(shift.begin(), shift.end()) {
  PHASE0_CHECK(n_sets >= 1 && n_points_ >= 1 && n_points_ % n_sets == 0 &&
               set.fold.tile_rows <= kMostTileRows);
  core::AlignedBuffer<float> shifted(n_points_ * d_);
  packed_.resize(n_padded_ * d_);
  norms_.resize(n_padded_);
  norms_.fill(std::numeric_limits<float>::infinity());
  set.shift_and_norms(points.data(), shift_.data(), shifted.data(), norms_.data(), n_points_, d_);
  set.fold.pack_points(shifted.data(), n_points_, d_, packed_.data());
}

std::int64_t FoldNearest::bytes(std::int64_t n_points, std::int64_t d) {
  return 4 * (core::round_up(n_points, kernels().fold.point_group) * (d + 1) + n_points * d + d);
}

std::int64_t FoldNearest::workspace_bytes(std::int64_t n_points, std::int64_t d, std::int64_t n_sets) {
  const FoldKernel& kernel = kernels().fold;
  const std::int64_t padded = core::round_up(n_points, kernel.point_group);
  return 4 * kernel.tile_rows * (d + n_sets) + (32 + 8) * padded;  // with the pointers of fold()
}

void FoldNearest::fold(const float* x, std::int64_t n, float* nearest, Keep keep, Workspace& workspace,
                       double* sums) const {
  const FoldKernel& kernel = kernels_.fold;
  const std::int64_t per_set = n_points_ / n_sets_;
  PHASE0_CHECK(keep == Keep::kNone || per_set == 1);
  workspace.tile.resize(kernel.tile_rows * d_);
  workspace.rest.resize(n_sets_ * kernel.tile_rows);
  workspace.sums.resize(4 * n_padded_);
  workspace.sums.fill(0.0);
  std::vector<float*> of_point(static_cast<std::size_t>(n_padded_));
  const auto point_at = [&](float* first, std::int64_t stride) {
    for (std::int64_t p = 0; p < n_padded_; ++p) {
      of_point[static_cast<std::size_t>(p)] = first + std::min(p / per_set, n_sets_ - 1) * stride;
    }
  };
  point_at(nearest, n);
  alignas(64) float row_norms[kMostTileRows];
  for (std::int64_t row = 0; row < n; row += kernel.tile_rows) {
    const std::int64_t count = std::min(kernel.tile_rows, n - row);
    const bool full = count == kernel.tile_rows;
    kernel.pack_rows(x + row * d_, shift_.data(), count, d_, workspace.tile.data(), row_norms);
    if (!full) {  // the missing rows lie at a distance of 0
      workspace.rest.fill(0.0f);
      for (std::int64_t s = 0; s < n_sets_; ++s) {
        std::copy_n(nearest + s * n + row, count, workspace.rest.data() + s * kernel.tile_rows);
      }
      point_at(workspace.rest.data(), kernel.tile_rows);
    }
    const std::int64_t next = row + count;
    const Prefetch ahead{reinterpret_cast<const char*>(x + next * d_),
                         reinterpret_cast<const char*>(x + std::min(next + kernel.tile_rows, n) * d_)};
    kernel.fold(workspace.tile.data(), row_norms, packed_.data(), norms_.data(), n_padded_, d_,
                of_point.data(), full ? row : 0, keep == Keep::kLeast, workspace.sums.data(), ahead);
    if (!full && keep == Keep::kLeast) {
      for (std::int64_t s = 0; s < n_sets_; ++s) {
        std::copy_n(workspace.rest.data() + s * kernel.tile_rows, count, nearest + s * n + row);
      }
    }
  }
  for (std::int64_t p = 0; p < n_points_; ++p) {
    const double* parts = workspace.sums.data() + 4 * p;
    sums[p] = (parts[0] + parts[1]) + (parts[2] + parts[3]);
  }
}

}  // namespace phase0::linalg
