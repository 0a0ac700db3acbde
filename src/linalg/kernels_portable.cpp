#include <cstdint>

#include "linalg/kernels.h"
#include "linalg/kernels_sets.h"

namespace phase0::linalg {
namespace portable {
namespace {
#include "linalg/kernels_impl.inc"
}  // namespace

const Kernels kKernels = {"portable",       &half_to_float_scalar, &shift_and_norms,
                          &smallest_two,    &accumulate_fixed,     &mean_rows,
                          &squared_distance};

}  // namespace portable
}  // namespace phase0::linalg
