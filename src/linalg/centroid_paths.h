#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linalg/kernels.h"

namespace phase0::linalg {

/// The length of the way that each of k centroids has gone, and that of the farthest of each group: with them
/// bounds of rows from earlier places stay good.
class CentroidPaths {
 public:
  static constexpr std::int64_t kMostGroups = 8;

  explicit CentroidPaths(std::int64_t k)
      : path_(static_cast<std::size_t>(k), 0.0), up_(static_cast<std::size_t>(k), 0.0f) {}

  /// From places `before` to `after` [k, d]; `group_of` [k], empty for one group.
  void extend(std::span<const float> before, std::span<const float> after,
              std::span<const std::int32_t> group_of, const Kernels& set);

  /// Rounded up, as everything here.
  float of(std::int32_t centroid) const { return up_[static_cast<std::size_t>(centroid)]; }
  /// [kMostGroups], zero where there is no group.
  const float* of_groups() const { return group_up_; }
  /// For the rounding of the bookkeeping.
  float slack() const { return slack_; }

  static std::int64_t bytes(std::int64_t k) { return 12 * k; }

 private:
  std::vector<double> path_;  ///< [k]
  double group_path_[kMostGroups] = {};
  std::vector<float> up_;
  float group_up_[kMostGroups] = {};
  float slack_ = 0;
};

}  // namespace phase0::linalg
