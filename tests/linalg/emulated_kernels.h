#pragma once

#include <vector>

#include "linalg/kernels.h"

namespace phase0::linalg::testing {

/// The nearest-centroid products of avx512 (its folding too) and amx compiled for any machine, as tables
/// "avx512_shape" (the same tile of 48 rows and 8 centroids in narrow registers) and "amx_emulated" (the same
/// packing and order of operations on tiles written out in C++, after the pseudocode of TDPBF16PS in the
/// Intel SDM: even and odd features summed apart in float32, denormals taken as 0). All other kernels in them
/// are portable.
const Kernels& avx512_shape_kernels();
const Kernels& amx_emulated_kernels();

/// What this machine has, then those two.
std::vector<const Kernels*> all_kernels();

}  // namespace phase0::linalg::testing
