#pragma once

#include <chrono>

namespace phase0::core {

/// Of a clock that never goes back, from no particular moment: for the time that things take.
inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace phase0::core
