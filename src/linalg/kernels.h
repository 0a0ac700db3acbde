#pragma once

#include <cstdint>
#include <vector>

#include "phase0/options.h"

/// The inner loops that have one implementation per instruction set. All other code is portable.
namespace phase0::linalg {

struct Kernels {
  const char* name;
  /// out[i] = float32 of the IEEE half in[i]; exact.
  void (*half_to_float)(const std::uint16_t* in, float* out, std::int64_t n);
  /// out[r, j] = in[r, j] - shift[j], and norms[r] = sum_j out[r, j]^2 (float32). [n, d].
  void (*shift_and_norms)(const float* in, const float* shift, float* out, float* norms, std::int64_t n,
                          std::int64_t d);
  /// For each row r of products [n, k] with row stride `stride`: the smallest two of norms[j] - 2 products[r,
  /// j], and the column of the smallest, the lowest column on ties. second[r] is +inf for k = 1.
  void (*smallest_two)(const float* products, const float* norms, std::int64_t stride, std::int64_t n,
                       std::int64_t k, float* first, float* second, std::int32_t* column);
  /// Fixed-point accumulation of a row: sum[j] += bits(x[j] * scale + kFixedMagic), exact and
  /// order-independent.
  void (*accumulate_fixed)(const float* x, double scale, std::int64_t* sum, std::int64_t d);
  /// out[j] = (frames[0, j] + .. + frames[w - 1, j]) / w in float64, rounded to float32; frames [w, d].
  void (*mean_rows)(const float* frames, std::int64_t w, std::int64_t d, float* out);
  /// sum_j (a[j] - b[j])^2 in float64.
  double (*squared_distance)(const float* a, const float* b, std::int64_t d);
};

/// Adding this to |v| < 2^51 leaves round(v) in the low bits of the double.
inline constexpr double kFixedMagic = 6755399441055744.0;  // 1.5 * 2^52

/// Implementations this machine can run, best first; the last is `portable`.
std::vector<const Kernels*> available_kernels();
/// Throws Error (kConfig) when the choice is not available here.
const Kernels& select_kernels(KernelChoice choice);
/// The ones in use: the best available until select_kernels was called. Set once at start.
const Kernels& kernels();

}  // namespace phase0::linalg
