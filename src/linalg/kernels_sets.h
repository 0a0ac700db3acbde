#pragma once

#include "linalg/kernels.h"

/// One table per instruction set, defined in kernels_NAME.cpp.
namespace phase0::linalg::portable {
extern const Kernels kKernels;
}
namespace phase0::linalg::avx2 {
extern const Kernels kKernels;
}
namespace phase0::linalg::avx512 {
extern const Kernels kKernels;
}
namespace phase0::linalg::amx {
/// The table of avx512 with the wide product on tiles.
const Kernels& kernels();
}  // namespace phase0::linalg::amx
