// Built with -mavx512f -mavx512dq -mavx512bw -mavx512vl and the flags of kernels_avx2.cpp; nothing in it runs
// before the CPU was asked for them.
#include <immintrin.h>

#include <cstdint>

#include "linalg/kernels.h"
#include "linalg/kernels_sets.h"

namespace phase0::linalg {
namespace avx512 {
namespace {

// 32 registers of 16 floats: 24 sums, 3 vectors of rows, 1 centroid.
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kTileVectors = 3;
constexpr std::int64_t kGroup = 8;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
inline void multiply_add(Floats& sum, const Floats& a, const Floats& b) {
  sum = _mm512_fmadd_ps(a, b, sum);
}
inline void lesser_of(Floats& out, const Floats& a, const Floats& b) {
  out = a < b ? a : b;
}

#include "linalg/kernels_vectors.inc"

#include "linalg/kernels_impl.inc"
#include "linalg/kernels_nearest.inc"
#include "linalg/kernels_table.inc"

void half_to_float(const std::uint16_t* in, float* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    _mm512_storeu_ps(out + i, _mm512_maskz_cvtph_ps(0xffff, half));  // unmasked, gcc 12 warns falsely
  }
  half_to_float_scalar(in + i, out + i, n - i);
}
}  // namespace

constinit const Kernels kKernels = kernels_named("avx512", &half_to_float);

}  // namespace avx512
}  // namespace phase0::linalg
