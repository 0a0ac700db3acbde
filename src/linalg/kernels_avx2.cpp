// The only file built with -mavx2 -mfma -mf16c; nothing in it runs before the CPU was asked for them.
#include <immintrin.h>

#include <cstdint>

#include "linalg/kernels.h"
#include "linalg/kernels_sets.h"

namespace phase0::linalg {
namespace avx2 {
namespace {

// 16 registers of 8 floats: 12 sums, 3 vectors of rows, 1 centroid.
constexpr std::int64_t kLanes = 8;
constexpr std::int64_t kTileVectors = 3;
constexpr std::int64_t kGroup = 4;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
inline void multiply_add(Floats& sum, const Floats& a, const Floats& b) {
  sum = _mm256_fmadd_ps(a, b, sum);
}
inline void lesser_of(Floats& out, const Floats& a, const Floats& b) {
  out = _mm256_min_ps(a, b);
}

#include "linalg/kernels_vectors.inc"

#include "linalg/kernels_impl.inc"
#include "linalg/kernels_nearest.inc"
#include "linalg/kernels_table.inc"

void half_to_float(const std::uint16_t* in, float* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
  half_to_float_scalar(in + i, out + i, n - i);
}
}  // namespace

constinit const Kernels kKernels = kernels_named("avx2", &half_to_float);

}  // namespace avx2
}  // namespace phase0::linalg
