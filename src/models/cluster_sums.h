#pragma once

#include <cstdint>
#include <vector>

#include "models/kmeans_data.h"

namespace phase0::models {

/// Sums and counts of the rows of each cluster, of several runs of k-means: shifted rows in fixed point, as
/// wrapping 64-bit integers: a value is rounded once, to the scale of the run's data, and any order of adding
/// and removing rows gives the same bits.
class ClusterSums {
 public:
  ClusterSums(std::int64_t k, std::int64_t d) : k_(k), d_(d) {}
  static std::int64_t bytes(std::int64_t runs, std::int64_t k, std::int64_t d) {
    return 8 * (runs * k * (d + 1) + d);
  }

  /// Empty clusters of a run on each of `data`, which outlives this.
  void reset(std::vector<const KMeansData*> data);
  void add_row(const float* row, std::int64_t run, std::int64_t cluster);
  void remove_row(const float* row, std::int64_t run, std::int64_t cluster);
  /// Adds those of as many runs.
  void add(const ClusterSums& other);
  /// Adds run `from` of other to run `to`, or puts it in its place.
  void add_run(std::int64_t to, const ClusterSums& other, std::int64_t from, bool in_its_place);
  ClusterSums copy_of_run(std::int64_t run) const;

  const std::int64_t* counts(std::int64_t run) const { return counts_.data() + run * k_; }  ///< [k]
  std::int64_t n_empty(std::int64_t run) const;
  /// The mean of a cluster that is not empty, [d].
  void mean(std::int64_t run, std::int64_t cluster, float* out) const;
  /// Sum of the rows' squared distances to `centroids` [k, d].
  double inertia(std::int64_t run, const std::vector<float>& centroids) const;

 private:
  template <typename Visit>
  void each_sum(std::int64_t run, std::int64_t cluster, const Visit& visit) const;

  const KMeansData& data_of(std::int64_t run) const { return *data_[static_cast<std::size_t>(run)]; }

  std::int64_t k_;
  std::int64_t d_;
  std::vector<const KMeansData*> data_;  ///< [runs]
  std::vector<std::int64_t> sums_;       ///< [runs, k, d], each biased by count x bits(linalg::kFixedMagic)
  std::vector<std::int64_t> counts_;     ///< [runs, k]
  std::vector<std::int64_t> row_;        ///< [d], of the row that is removed
};

}  // namespace phase0::models
