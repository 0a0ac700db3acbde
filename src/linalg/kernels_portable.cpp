#include <cstdint>

#include "linalg/kernels.h"
#include "linalg/kernels_sets.h"

namespace phase0::linalg {
namespace portable {
namespace {

// 16 registers of 4 floats: 12 sums, 3 vectors of rows, 1 centroid.
constexpr std::int64_t kLanes = 4;
constexpr std::int64_t kTileVectors = 3;
constexpr std::int64_t kGroup = 4;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
inline void multiply_add(Floats& sum, const Floats& a, const Floats& b) {
  sum += a * b;
}
inline void lesser_of(Floats& out, const Floats& a, const Floats& b) {
  out = a < b ? a : b;
}

#include "linalg/kernels_vectors.inc"

#include "linalg/kernels_impl.inc"
#include "linalg/kernels_nearest.inc"
#include "linalg/kernels_table.inc"

}  // namespace

constinit const Kernels kKernels = kernels_named("portable", &half_to_float_scalar);

}  // namespace portable
}  // namespace phase0::linalg
