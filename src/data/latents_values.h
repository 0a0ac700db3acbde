#pragma once

#include <cstddef>
#include <cstdint>

#include "store/element_type.h"

/// Stored float16, float32 and float64 values as the bytes they are read as.
namespace phase0::data {

/// out[i] = float32 of value i, rounded to nearest; a float64 beyond float32's range becomes an infinity.
void to_float32(store::ElementType type, const std::byte* values, std::int64_t n, float* out);

/// Index of the first of `n` values that is NaN or infinite as float32; n if there is none.
std::int64_t first_non_finite(store::ElementType type, const std::byte* values, std::int64_t n);

/// `NaN`, `infinity`, or `a value beyond float32` for a value that first_non_finite() found.
const char* describe_non_finite(store::ElementType type, const std::byte* value);

}  // namespace phase0::data
