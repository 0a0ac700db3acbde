#pragma once

namespace phase0::store::testing {

/// Lets the n-th allocation through operator new on this thread from now on fail, once; 0 for none. For the
/// store's tests, whose operator new is replaced (failing_new.cpp).
void fail_allocation(int n);

}  // namespace phase0::store::testing
