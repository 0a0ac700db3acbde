#include "data/frame_matrix.h"

#include <cstring>

#include "linalg/kernels.h"

namespace phase0::data {

void FrameMatrix::load(std::int64_t first, std::int64_t n, float* out) const {
  PHASE0_CHECK(first >= 0 && n >= 0 && first + n <= rows());
  if (n == 0) return;
  const std::byte* source = frames_.row(first);
  if (type() == store::ElementType::kFloat32) {
    std::memcpy(out, source, static_cast<std::size_t>(n * row_bytes()));
  } else {
    linalg::kernels().half_to_float(reinterpret_cast<const std::uint16_t*>(source), out, n * dim());
  }
}

}  // namespace phase0::data
