#include "linalg/centroid_paths.h"

#include <algorithm>
#include <cmath>

#include "linalg/row_bounds.h"

namespace phase0::linalg {
namespace {

float rounded_up(double value) {
  return static_cast<float>(value) * (1.0f + kBoundUlps);
}

}  // namespace

void CentroidPaths::extend(std::span<const float> before, std::span<const float> after,
                           std::span<const std::int32_t> group_of, const Kernels& set) {
  const auto d = static_cast<std::int64_t>(after.size() / path_.size());
  double farthest[kMostGroups] = {};
  for (std::size_t c = 0; c < path_.size(); ++c) {
    const std::size_t at = c * static_cast<std::size_t>(d);
    const double squared = set.squared_distance(after.data() + at, before.data() + at, d);
    const double moved = std::sqrt(squared) * (1.0 + 1e-12 * static_cast<double>(d + 8));
    path_[c] += moved;
    up_[c] = rounded_up(path_[c]);
    double& most = farthest[group_of.empty() ? 0 : group_of[c]];
    most = std::max(most, moved);
  }
  for (std::int64_t g = 0; g < kMostGroups; ++g) {
    group_path_[g] += farthest[g];
    group_up_[g] = rounded_up(group_path_[g]);
  }
  slack_ = kBoundUlps * *std::max_element(group_up_, group_up_ + kMostGroups);
}

}  // namespace phase0::linalg
