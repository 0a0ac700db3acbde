#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace phase0::models {

/// Points on a line, in ascending order, each with how often it counts.
struct LinePoints {
  std::vector<double> values;
  std::vector<double> weights;  ///< > 0

  std::int64_t size() const { return std::ssize(values); }
};

/// Points of finite values, which it sorts: equal ones together, and where that leaves more than `most`,
/// neighbours as well, as many each time.
LinePoints line_points(std::span<float> values, std::int64_t most);

/// The k-means of points on a line: min(k, points) centroids in ascending order with the least weighted sum
/// of squared distances there is, up to rounding. Clusters on a line are runs of points, so dynamic
/// programming over their ends finds it (Wang and Song 2011, Ckmeans.1d.dp); the best last cluster of more
/// points begins no earlier than that of fewer, so each of the k layers is divided and conquered: O(k n log
/// n) (Gronlund et al. 2017, "Fast exact k-means, k-medians and Bregman divergence clustering in 1D"). Takes
/// scalar_kmeans_bytes(). At least one point, k >= 1.
std::vector<double> scalar_kmeans(const LinePoints& points, std::int64_t k);
std::int64_t scalar_kmeans_bytes(std::int64_t n_points, std::int64_t k);

}  // namespace phase0::models
