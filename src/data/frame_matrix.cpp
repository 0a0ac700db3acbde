#include "data/frame_matrix.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "linalg/kernels.h"

namespace phase0::data {
namespace {

/// Halves on their way to float32: few enough for the stack and the cache.
constexpr std::int64_t kHalves = 16384;

}  // namespace

void FrameMatrix::load(std::int64_t first, std::int64_t n, float* out) const {
  PHASE0_CHECK(first >= 0 && n >= 0 && first + n <= rows());
  if (type() == store::ElementType::kFloat32) return frames_.read(first, n, out);
  // They are read into the far half of `out`: growing from its start, the results never reach those to come.
  const std::int64_t size = n * dim();
  const std::byte* stored = reinterpret_cast<std::byte*>(out) + 2 * size;
  frames_.read(first, n, reinterpret_cast<std::byte*>(out) + 2 * size);
  std::array<std::uint16_t, kHalves> halves;
  for (std::int64_t i = 0; i < size; i += kHalves) {
    const std::int64_t count = std::min(kHalves, size - i);
    std::memcpy(halves.data(), stored + 2 * i, static_cast<std::size_t>(2 * count));
    linalg::kernels().half_to_float(halves.data(), out + i, count);
  }
}

}  // namespace phase0::data
