#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "store/element_type.h"

/// Stored float16, float32 and float64 values as the bytes they are read as.
namespace phase0::data {

/// out[i] = float32 of value i, rounded to nearest; a float64 beyond float32's range becomes an infinity.
void to_float32(store::ElementType type, const std::byte* values, std::int64_t n, float* out);

/// Largest magnitude in frames: squared distances and products of contexts of such values, summed over as
/// many dimensions and frames as there may be, stay within float32.
inline constexpr float kLargestFrameValue = 1e15f;
/// And of float16.
inline constexpr float kLargestHalf = 65504.0F;
/// Largest magnitude of energies, which are only compared.
inline constexpr float kLargestEnergy = std::numeric_limits<float>::max();

/// Index of the first of `n` values that is NaN, infinite or larger than `largest` as float32; n if there is
/// none.
std::int64_t first_unusable(store::ElementType type, const std::byte* values, std::int64_t n, float largest);

/// For messages: `NaN`, `infinity`, `a value beyond float32`, or a number and the largest that is accepted.
std::string describe_unusable(store::ElementType type, const std::byte* value, float largest);

}  // namespace phase0::data
