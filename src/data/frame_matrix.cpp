#include "data/frame_matrix.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "linalg/kernels.h"

namespace phase0::data {
namespace {

/// Values on their way to float32: few enough for the stack and the cache.
constexpr std::int64_t kValues = 16384;

/// float16, as one long row.
void decode_halves(const std::byte* stored, std::int64_t size, float* out) {
  std::array<std::uint16_t, kValues> halves;
  for (std::int64_t i = 0; i < size; i += kValues) {
    const std::int64_t count = std::min(kValues, size - i);
    std::memcpy(halves.data(), stored + 2 * i, static_cast<std::size_t>(2 * count));
    linalg::kernels().half_to_float(halves.data(), out + i, count);
  }
}

}  // namespace

void FrameMatrix::load(std::int64_t first, std::int64_t n, float* out) const {
  PHASE0_CHECK(first >= 0 && n >= 0 && first + n <= rows());
  if (codec_.stored_type() == store::ElementType::kFloat32) return frames_.read(first, n, out);
  // They are read into the far end of `out`: growing from its start, the results never reach those to come.
  const std::int64_t size = n * dim();
  std::byte* stored = reinterpret_cast<std::byte*>(out + size) - n * row_bytes();
  frames_.read(first, n, stored);
  if (codec_.stored_type() == store::ElementType::kFloat16) return decode_halves(stored, size, out);
  decode(stored, n, out);
}

void FrameMatrix::decode(const std::byte* stored, std::int64_t n, float* out) const {
  std::array<std::byte, kValues> codes;
  for (std::int64_t row = 0; row < n; ++row, stored += row_bytes(), out += dim()) {
    for (std::int64_t column = 0; column < dim(); column += kValues) {
      const std::int64_t count = std::min(kValues, dim() - column);
      const std::int64_t from = codec_.bytes_of(column);
      std::memcpy(codes.data(), stored + from,
                  static_cast<std::size_t>(codec_.bytes_of(column + count) - from));
      codec_.decode(codes.data(), column, count, out + column);
    }
  }
}

}  // namespace phase0::data
