#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "linalg/kernels.h"

namespace phase0::linalg {

/// Bound of |computed - exact| of a score |c|^2 - 2 x.c formed in float32: constant + slope |x|, for shifted
/// rows x and shifted centroids no longer than `longest`; `product_error` as in NearestKernel.
struct ScoreError {
  float constant = 0, slope = 0;
};
ScoreError score_error(std::int64_t d, double product_error, double longest);
/// Sums of products beyond this could overflow on the way and still look finite.
inline constexpr float kLargestProduct = 0x1p120f;
/// Squared norms beyond this may be infinite in float32.
inline constexpr double kLargestNorm = 0x1p120;

/// The nearest of several centroids in exact arithmetic, ties to the lowest id: float64, and
/// float128 when that cannot tell. `centroids` [k, d].
class ExactNearest {
 public:
  ExactNearest(const float* x, const float* centroids, std::int64_t d, const Kernels& set)
      : kernels_(set), x_(x), centroids_(centroids), d_(d) {}
  void consider(std::int32_t id);
  std::int32_t label() const { return label_; }

 private:
  const Kernels& kernels_;
  const float* x_;
  const float* centroids_;
  std::int64_t d_;
  std::int32_t label_ = -1;
  double distance_ = 0;
};

/// The nearest centroid of every row, for one or several sets of centroids at once.
///
/// Labels are those of exact arithmetic on the float32 values, ties to the lowest id, on every machine. The
/// fast path is |c|^2 - 2 x.c in float32 (or less) on rows and centroids shifted by a common vector; a row
/// whose best two candidates lie within the rounding bound of that product is decided in float64, and in
/// float128 when even that cannot tell. Immutable after construction; `assign` may run on several workers,
/// each with a Workspace of its own.
class NearestCentroids {
 public:
  /// Grows within prepare() to workspace_bytes().
  struct Workspace {
    core::AlignedBuffer<float> tile;           ///< a tile of rows, packed
    core::AlignedBuffer<std::int32_t> labels;  ///< [n_sets, n]
    core::AlignedBuffer<float> squared;  ///< [n_sets, n]: squared distance to the label's centroid, >= 0
    core::AlignedBuffer<float> second;   ///< [n_sets, n]: no more than that to any other centroid (kSecond)
    core::AlignedBuffer<float> error;    ///< [n_sets, n]: how far both may be off (kSecond)
    std::int64_t n_uncertain = 0;        ///< rows decided in float64, added up over calls
  };

  /// `centroids` holds the sets one behind the other, [k_0 + k_1 + .., d]; `shift` [d] should be near the
  /// data's mean (it changes speed, never labels). `set` outlives this.
  NearestCentroids(std::vector<float> centroids, const std::vector<std::int64_t>& set_sizes, std::int64_t d,
                   std::span<const float> shift, const Kernels& set = kernels());

  std::int64_t n_sets() const { return static_cast<std::int64_t>(sets_.size()); }
  std::int64_t d() const { return d_; }

  enum class Want { kLabels, kSecond };
  /// Makes room for n rows; assign() begins with it and allocates nothing else.
  void prepare(Workspace& workspace, std::int64_t n, Want want) const;
  /// Rows x [n, d]. Fills the workspace's labels and squared; `second` and `error` where they are wanted.
  void assign(const float* x, std::int64_t n, Workspace& workspace, Want want = Want::kLabels) const;

  /// Bytes of an object with `n_sets` sets of k centroids under the kernels in use, while it is made.
  static std::int64_t bytes(std::int64_t k, std::int64_t d, std::int64_t n_sets);
  /// Bytes of a workspace for blocks of `n` rows under the kernels in use.
  static std::int64_t workspace_bytes(std::int64_t n, std::int64_t d, std::int64_t n_sets,
                                      Want want = Want::kLabels);

 private:
  struct Set {
    std::int64_t first = 0;  ///< of its centroids
    std::int64_t size = 0;
    std::int64_t first_padded = 0;  ///< of its centroids when packed
    std::int64_t padded = 0;
    float longest = 0;  ///< max |c - shift|
    ScoreError error{};
  };
  struct TileResult;

  void pack(Set& set);
  void assign_set(const Set& set, const float* x, std::int64_t count, Prefetch ahead, TileResult& result,
                  Workspace& workspace, bool want_second) const;
  std::int32_t decide(const Set& set, const float* x) const;

  const Kernels& kernels_;
  const NearestKernel& product_;
  std::int64_t d_;
  std::int64_t padded_d_;
  std::vector<Set> sets_;
  std::vector<float> centroids_;  ///< as given
  std::vector<float> shift_;
  core::AlignedBuffer<float> packed_;  ///< the shifted centroids, set by set
  core::AlignedBuffer<float> norms_;   ///< their squared norms, set by set; +inf for padding
};

/// sum_j (a_j - b_j)^2 compared in float128 (113 bits; float64 has 53): -1, 0 or 1 for x nearer to a,
/// tie, b.
int compare_distances(const float* x, const float* a, const float* b, std::int64_t d);

}  // namespace phase0::linalg
