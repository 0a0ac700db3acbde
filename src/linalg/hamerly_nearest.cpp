#include "linalg/hamerly_nearest.h"

#include <algorithm>

#include "core/check.h"

namespace phase0::linalg {
namespace {

/// Rows that are labelled together: whole tiles of every kernel, or nearly, in the second-level cache.
constexpr std::int64_t kOpenRows = 1008;

}  // namespace

HamerlyNearest::HamerlyNearest(std::int64_t k, std::span<const float> shift, const Kernels& set)
    : kernels_(set), k_(k), d_(std::ssize(shift)), shift_(shift.begin(), shift.end()), paths_(k) {
  PHASE0_CHECK(k >= 1 && d_ >= 1);
}

std::int64_t HamerlyNearest::bytes(std::int64_t k, std::int64_t d) {
  return 4 * (d + k * d) + NearestCentroids::bytes(k, d, 1) + CentroidPaths::bytes(k);
}

std::int64_t HamerlyNearest::workspace_bytes(std::int64_t rows, std::int64_t d) {
  return (static_cast<std::int64_t>(sizeof(Relabelled)) + 4) * rows + 4 * kOpenRows * d +
         NearestCentroids::workspace_bytes(kOpenRows, d, 1, NearestCentroids::Want::kSecond);
}

void HamerlyNearest::move_to(std::span<const float> centroids) {
  PHASE0_CHECK(std::ssize(centroids) == k_ * d_);
  if (!centroids_.empty()) paths_.extend(centroids_, centroids, {}, kernels_);
  centroids_.assign(centroids.begin(), centroids.end());
  nearest_.emplace(centroids_, std::vector<std::int64_t>{k_}, d_, shift_, kernels_);
}

bool HamerlyNearest::settled(const RowBounds& bounds, std::int64_t row) const {
  const std::int32_t label = bounds.label(row);
  if (label == kUnlabelled) return false;
  // A NaN can only come of an infinite path, with which the slack is infinite too.
  return (bounds.upper(row) + paths_.of(label) + paths_.slack()) * (1.0f + kBoundUlps) <
         *bounds.lower(row) - *paths_.of_groups();
}

void HamerlyNearest::mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const {
  for (std::int64_t r = 0; r < n; ++r) marks[r] |= static_cast<std::uint8_t>(!settled(bounds, r));
}

void HamerlyNearest::prepare(Workspace& workspace, std::int64_t rows) const {
  workspace.relabelled.reserve(static_cast<std::size_t>(rows));
  workspace.unsettled.resize(static_cast<std::size_t>(rows));
  workspace.rows.resize(kOpenRows * d_);
  nearest_->prepare(workspace.nearest, kOpenRows, NearestCentroids::Want::kSecond);
}

void HamerlyNearest::label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
                           Workspace& workspace) const {
  workspace.relabelled.clear();
  std::int64_t n = 0;
  for (std::int32_t i = 0; i < std::ssize(rows); ++i) {
    workspace.unsettled[static_cast<std::size_t>(n)] = i;
    n += settled(bounds, rows[static_cast<std::size_t>(i)]) ? 0 : 1;
  }
  const NearestCentroids::Workspace& found = workspace.nearest;
  for (std::int64_t first = 0; first < n; first += kOpenRows) {
    const std::int32_t* open = workspace.unsettled.data() + first;
    const std::int64_t count = std::min(kOpenRows, n - first);
    for (std::int64_t i = 0; i < count; ++i) {
      std::copy_n(x + open[i] * d_, d_, workspace.rows.data() + i * d_);
    }
    nearest_->assign(workspace.rows.data(), count, workspace.nearest, NearestCentroids::Want::kSecond);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t row = rows[static_cast<std::size_t>(open[i])];
      const std::int32_t before = bounds.label(row);
      const std::int32_t label = found.labels[i];
      if (label != before) workspace.relabelled.push_back({open[i], before});
      bounds.set_label(row, label);
      bounds.upper(row) = upper_bound(found.squared[i], found.error[i]) - paths_.of(label);
      *bounds.lower(row) = lower_bound(found.second[i], found.error[i]) + *paths_.of_groups();
    }
  }
}

}  // namespace phase0::linalg
