// The only file built with -mavx2 -mfma -mf16c; nothing in it runs before the CPU was asked for them.
#include <immintrin.h>

#include <cstdint>

#include "linalg/kernels.h"
#include "linalg/kernels_sets.h"

namespace phase0::linalg {
namespace avx2 {
namespace {
#include "linalg/kernels_impl.inc"

void half_to_float(const std::uint16_t* in, float* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
  half_to_float_scalar(in + i, out + i, n - i);
}
}  // namespace

const Kernels kKernels = {"avx2",     &half_to_float,   &shift_and_norms, &smallest_two, &accumulate_fixed,
                          &mean_rows, &squared_distance};

}  // namespace avx2
}  // namespace phase0::linalg
