#pragma once

#include "phase0/error.h"

namespace phase0::core {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

/// For bugs only: throws Error (kInternal) when `condition` is false. Bad input gets an Error of its own
/// kind.
#define PHASE0_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::phase0::core::check_failed(#condition, __FILE__, __LINE__))
