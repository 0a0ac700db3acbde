#pragma once

#include <cstdint>
#include <vector>

#include "phase0/options.h"

/// The inner loops that have one implementation per instruction set. All other code is portable.
namespace phase0::linalg {

/// A range that will be read soon, brought in piece by piece between computations.
struct Prefetch {
  const char* next = nullptr;
  const char* end = nullptr;
};

/// The product of rows with centroids and the argmin over them, fused: scores |c|^2 - 2 x.c are formed for
/// one tile of rows against all centroids and never leave the core. Rows and centroids come packed.
struct NearestKernel {
  std::int64_t tile_rows;       ///< rows handled at once, at most kMostTileRows
  std::int64_t centroid_group;  ///< centroids are padded to a multiple of this
  std::int64_t feature_group;   ///< features are padded to a multiple of this
  /// Bound of |computed - exact| of a product x.c of length d, relative to |x||c|; underflow apart.
  double (*product_error)(std::int64_t d);
  /// centroids [k, d] -> packed [padded k * padded d].
  void (*pack_centroids)(const float* centroids, std::int64_t k, std::int64_t d, float* packed);
  /// x [n, d], n <= tile_rows -> tile [padded d * tile_rows] of x - shift, and the squared norms of those
  /// rows; missing rows count as 0.
  void (*pack_rows)(const float* x, const float* shift, std::int64_t n, std::int64_t d, float* tile,
                    float* norms);
  /// For each row of the tile: the least score; how many scores lie within `gap` above it (that one
  /// included; sometimes a few too many, never too few; 0 when the gap is NaN); and, where that is 1, the
  /// column of the least and, in `second` unless that is null, the least of the others. `k` is the padded
  /// number of centroids; the norms of padding are +inf. `ahead` is memory to bring into the caches
  /// meanwhile.
  void (*nearest)(const float* tile, const float* packed, const float* norms, std::int64_t k, std::int64_t d,
                  const float* gap, float* score, std::int32_t* column, std::int32_t* n_within, float* second,
                  Prefetch ahead);
};
inline constexpr std::int64_t kMostTileRows = 64;

/// Squared distances of rows to a few points, folded into what each row's nearest is so far: for seeding.
struct FoldKernel {
  std::int64_t tile_rows;    ///< rows handled at once, at most kMostTileRows
  std::int64_t point_group;  ///< points are padded to a multiple of this
  /// As those of NearestKernel, with no padding of features.
  void (*pack_points)(const float* points, std::int64_t n, std::int64_t d, float* packed);
  void (*pack_rows)(const float* x, const float* shift, std::int64_t n, std::int64_t d, float* tile,
                    float* norms);
  /// For each of n points (padding included, whose norms are +inf) and each row r of the tile: least = the
  /// lesser of nearest[point][first_row + r] and max(|x_r - point|^2, 0) in float32. Adds the sum over the
  /// rows to the sum of sums[point, 0..4), the rows of a tile in float32. With `keep` the least is stored in
  /// nearest.
  void (*fold)(const float* tile, const float* row_norms, const float* packed, const float* norms,
               std::int64_t n, std::int64_t d, float* const* nearest, std::int64_t first_row, bool keep,
               double* sums, Prefetch ahead);
};

/// A row and the slot that it is added to.
struct SlotPair {
  std::int32_t row = 0;
  std::int32_t slot = 0;
};
inline constexpr std::int64_t kSlotWidth = 64;
/// The rows that a slot took.
struct SlotRows {
  std::int64_t count = 0;
  double norm = 0;  ///< sum of their squared norms
};
/// Sums by slot, of rows of kSlotWidth values.
struct SlotSums {
  SlotRows* rows = nullptr;   ///< [slots]
  double* sums = nullptr;     ///< [slots, kSlotWidth]
  double* squares = nullptr;  ///< the same, of the squared values; may be null
};

/// Of some scores. NaN counts as absent.
struct LeastTwo {
  float least;
  float second;
  std::int32_t column;  ///< of the least
};

/// Rows of Kernels::score_rows.
inline constexpr std::int64_t kScoreRows = 4;

struct Kernels {
  const char* name;
  /// out[i] = float32 of the IEEE half in[i]; exact.
  void (*half_to_float)(const std::uint16_t* in, float* out, std::int64_t n);
  /// out[i] = offset[i] + scale[i] * in[i] in float32, product and sum rounded: the same bits on all kernels.
  void (*int8_to_float)(const std::int8_t* in, const float* scale, const float* offset, float* out,
                        std::int64_t n);
  /// out[i] = palettes[i, code i], palettes [n, 16]. The codes are 4 bits, two in a byte, the lower ones
  /// first.
  void (*int4_to_float)(const std::uint8_t* in, const float* palettes, float* out, std::int64_t n);
  /// out[r, j] = in[r, j] - shift[j], and norms[r] = sum_j out[r, j]^2 (float32). [n, d].
  void (*shift_and_norms)(const float* in, const float* shift, float* out, float* norms, std::int64_t n,
                          std::int64_t d);
  /// Fixed-point accumulation of a row: sum[j] += bits((x[j] - shift[j]) * scale + kFixedMagic) in
  /// float64; order-independent.
  void (*accumulate_fixed)(const float* x, const float* shift, double scale, std::int64_t* sum,
                           std::int64_t d);
  /// out[j] = (frames[0, j] + .. + frames[w - 1, j]) / w in float64, rounded to float32; frames [w, d].
  void (*mean_rows)(const float* frames, std::int64_t w, std::int64_t d, float* out);
  /// sum_j (a[j] - b[j])^2 in float64.
  double (*squared_distance)(const float* a, const float* b, std::int64_t d);
  /// The same in float32: within (d + 4) 2^-24 of it, relative, but for underflow.
  float (*squared_distance_float)(const float* a, const float* b, std::int64_t d);
  /// scores[r][c] = norms[c] + sum_j x[r][j] packed[j, c] in float32, for n (a multiple of kScoreLanes, not
  /// 0) columns, two or more partial sums per column; and the least two of them in found[r]: of one row r,
  /// and of kScoreRows rows in half the time for each.
  void (*score_row)(const float* const* x, const float* packed, const float* norms, std::int64_t n,
                    std::int64_t d, float* const* scores, LeastTwo* found);
  void (*score_rows)(const float* const* x, const float* packed, const float* norms, std::int64_t n,
                     std::int64_t d, float* const* scores, LeastTwo* found);
  /// z[j] = (x[j] - mean[j]) * scale[j] in float64 for j < width, 0 from there to kSlotWidth; returns the sum
  /// of their squares, as `tile_norm`. All kernels give the same bits.
  double (*normalise_tile)(const float* x, const double* mean, const double* scale, std::int64_t width,
                           double* z);
  /// to[j] += from[j] for j < kSlotWidth.
  void (*add_tile)(const double* from, double* to);
  /// sum_j v[j]^2 for j < kSlotWidth, the same bits on all kernels.
  double (*tile_norm)(const double* v);
  /// Adds for n pairs (row, slot) row z[row, :] and norms[row] to the slot, in the order of the pairs; the
  /// same bits on all kernels.
  void (*add_to_slots)(const SlotPair* pairs, std::int64_t n, const double* z, const double* norms,
                       const SlotSums& to);
  FoldKernel fold;
  /// The nearest-centroid product for few and for many features (kWideFeatures and more).
  NearestKernel narrow;
  NearestKernel wide;

  const NearestKernel& nearest(std::int64_t d) const { return d < kWideFeatures ? narrow : wide; }
  static constexpr std::int64_t kWideFeatures = 64;
};

/// Columns that Kernels::score_row takes at once.
inline constexpr std::int64_t kScoreLanes = 8;

/// Adding this to |v| < 2^51 leaves round(v) in the low bits of the double.
inline constexpr double kFixedMagic = 6755399441055744.0;  // 1.5 * 2^52

/// Implementations this machine can run, best first; the last is `portable`.
std::vector<const Kernels*> available_kernels();
/// Throws Error (kConfig) when the choice is not available here.
const Kernels& select_kernels(KernelChoice choice);
/// The ones in use: the best available until select_kernels was called. Set once at start.
const Kernels& kernels();

}  // namespace phase0::linalg
