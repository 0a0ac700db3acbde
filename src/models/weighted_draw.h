#pragma once

#include <cstdint>

namespace phase0::models {

/// The row at which the running sum of n weights, of which one is over 0, passes `target`; by rounding it may
/// not, then the last that is not 0.
std::int64_t drawn_row(const float* weights, std::int64_t n, double target);

}  // namespace phase0::models
