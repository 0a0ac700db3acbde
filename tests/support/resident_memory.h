#pragma once

#include "support/sanitizers.h"

namespace phase0::test {

/// The thread sanitizer keeps shadows of all memory, so a resident set says nothing under it.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kResidentMemoryMeansSomething = false;
#else
inline constexpr bool kResidentMemoryMeansSomething = true;
#endif

/// Whether freed memory leaves the resident set. AddressSanitizer keeps it for a while, to find late uses.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kFreedMemoryIsGivenBack = false;
#else
inline constexpr bool kFreedMemoryIsGivenBack = kResidentMemoryMeansSomething;
#endif

}  // namespace phase0::test
