#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "linalg/kernels.h"

namespace phase0::linalg {

/// Points that rows may get as their nearest: what greedy k-means++ asks of all rows for a few points at a
/// time. Points stand in sets of equal size, and every set knows each row's squared distance to its nearest
/// so far. Distances are float32 of shifted values: good enough for sampling. Immutable after construction;
/// fold() may run on several workers, each with a Workspace of its own.
class FoldNearest {
 public:
  /// Grows at the start of fold(), never within it.
  struct Workspace {
    core::AlignedBuffer<float> tile;   ///< a tile of rows, packed
    core::AlignedBuffer<float> rest;   ///< [n_sets, tile_rows]: distances of a tile that is not full
    core::AlignedBuffer<double> sums;  ///< [n_points, 4]
  };
  enum class Keep { kNone, kLeast };

  /// Points [n_points, d], the sets one behind the other; `shift` [d] near the data's mean. `set` outlives
  /// this.
  FoldNearest(std::span<const float> points, std::int64_t n_sets, std::span<const float> shift,
              const Kernels& set = kernels());

  /// For rows x [n, d] and their distances `nearest` [n_sets, n], +inf where there are none: sums[p] = the
  /// sum over the rows of the lesser of nearest and the distance to point p, which depends on these rows
  /// alone. With kLeast that takes the place of nearest; then sets have one point each.
  void fold(const float* x, std::int64_t n, float* nearest, Keep keep, Workspace& workspace,
            double* sums) const;

  /// Bytes of an object under the kernels in use, while it is made, and of a workspace.
  static std::int64_t bytes(std::int64_t n_points, std::int64_t d);
  static std::int64_t workspace_bytes(std::int64_t n_points, std::int64_t d, std::int64_t n_sets);

 private:
  const Kernels& kernels_;
  std::int64_t d_;
  std::int64_t n_sets_;
  std::int64_t n_points_;
  std::int64_t n_padded_;
  std::vector<float> shift_;
  core::AlignedBuffer<float> packed_;  ///< the shifted points
  core::AlignedBuffer<float> norms_;   ///< their squared norms; +inf for padding
};

}  // namespace phase0::linalg
