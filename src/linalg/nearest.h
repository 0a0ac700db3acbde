#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"

namespace phase0::linalg {

/// The nearest centroid of every row, for one or several sets of centroids at once.
///
/// Labels are those of exact arithmetic on the float32 values, ties to the lowest id, on every machine. The
/// fast path is |x|^2 + |c|^2 - 2 x.c as one float32 product on rows and centroids shifted by a common
/// vector; a row whose best two candidates lie within the rounding bound of that product is decided in
/// float64, and in float128 when even that cannot tell. Immutable after construction; `assign` may run on
/// several workers, each with a Workspace of its own.
class NearestCentroids {
 public:
  struct Workspace {
    core::AlignedBuffer<float> shifted;   ///< [n, d]: x - shift, of the last assign
    core::AlignedBuffer<float> norms;     ///< [n]: squared norms of the shifted rows
    core::AlignedBuffer<float> products;  ///< a piece of the product
    core::AlignedBuffer<float> first;
    core::AlignedBuffer<float> second;
    core::AlignedBuffer<std::int32_t> labels;  ///< [n_sets, n]
    core::AlignedBuffer<float>
        squared;                   ///< [n_sets, n]: fast-path squared distance to the label's centroid, >= 0
    std::int64_t n_uncertain = 0;  ///< rows decided in float64, added up over calls
  };

  /// `centroids` holds the sets one behind the other, [k_0 + k_1 + .., d]; `shift` [d] should be near the
  /// data's mean (it changes speed, never labels).
  NearestCentroids(std::span<const float> centroids, std::vector<std::int64_t> set_sizes, std::int64_t d,
                   std::span<const float> shift);

  std::int64_t n_sets() const { return static_cast<std::int64_t>(set_sizes_.size()); }
  std::int64_t d() const { return d_; }

  /// Rows x [n, d]. Fills the workspace's labels, squared, shifted and norms.
  void assign(const float* x, std::int64_t n, Workspace& workspace) const;

  /// Bytes of a workspace for blocks of `n` rows.
  static std::int64_t workspace_bytes(std::int64_t n, std::int64_t d, std::int64_t n_centroids,
                                      std::int64_t n_sets);

 private:
  void assign_piece(const float* x, std::int64_t first_row, std::int64_t piece, std::int64_t n,
                    Workspace& workspace) const;
  std::int32_t decide(const float* x, const float* products, float norm, std::int64_t set_first,
                      std::int64_t set_size) const;

  std::int64_t d_;
  std::vector<std::int64_t> set_sizes_;
  std::vector<float> centroids_;        ///< as given
  core::AlignedBuffer<float> shifted_;  ///< [k, d]
  std::vector<float> norms_;            ///< [k] squared norms of the shifted centroids
  std::vector<float> lengths_;          ///< [k] their norms: a square may underflow where the norm does not
  std::vector<float> shift_;
  std::vector<float> largest_norm_;  ///< [n_sets] max |c - shift|
};

/// sum_j (a_j - b_j)^2 compared in float128 (113 bits; float64 has 53): -1, 0 or 1 for x nearer to a,
/// tie, b.
int compare_distances(const float* x, const float* a, const float* b, std::int64_t d);

}  // namespace phase0::linalg
