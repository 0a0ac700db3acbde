#pragma once

namespace phase0::test {

/// The thread sanitizer keeps shadows of all memory, so a resident set says nothing under it.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kResidentMemoryMeansSomething = false;
#else
inline constexpr bool kResidentMemoryMeansSomething = true;
#endif

}  // namespace phase0::test
