#pragma once

namespace phase0::test {

// gcc says by a macro what it instruments for, clang by a feature.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

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
