#pragma once

#include "support/sanitizers.h"

namespace phase0::store::testing {

/// The thread sanitizer has an operator new of its own, which cannot be replaced.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kAllocationsCanFail = false;
#else
inline constexpr bool kAllocationsCanFail = true;
#endif

/// Lets the n-th allocation through operator new on this thread from now on fail, once; 0 for none. For the
/// store's tests, whose operator new is replaced (failing_new.cpp).
void fail_allocation(int n);

}  // namespace phase0::store::testing
