#pragma once

#include <cstdint>
#include <type_traits>

namespace phase0::store {

enum class ElementType : std::uint8_t { kFloat16, kFloat32, kFloat64, kUInt8, kInt8, kInt32, kInt64 };

std::int64_t element_size(ElementType type);
const char* to_string(ElementType type);

template <typename T>
constexpr ElementType element_type() {
  if constexpr (std::is_same_v<T, float>) return ElementType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return ElementType::kFloat64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return ElementType::kUInt8;
  if constexpr (std::is_same_v<T, std::int8_t>) return ElementType::kInt8;
  if constexpr (std::is_same_v<T, std::int32_t>) return ElementType::kInt32;
  if constexpr (std::is_same_v<T, std::int64_t>) return ElementType::kInt64;
}

}  // namespace phase0::store
