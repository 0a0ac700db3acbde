#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "store/element_type.h"

namespace phase0::encoders {

/// Index of the first value that is NaN, infinite or beyond 1e15, of little-endian float16 or float32 values.
std::optional<std::size_t> first_unusable(std::span<const std::byte> values, store::ElementType type);

/// Value `index` of such values.
double value_at(std::span<const std::byte> values, store::ElementType type, std::size_t index);

}  // namespace phase0::encoders
