#include "encoders/finite_rows.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/check.h"

namespace phase0::encoders {
namespace {

/// As collect takes them (data/FORMAT.md).
constexpr float kLargestValue = 1e15f;

/// Of values without their sign the bit patterns rise with the value, to infinity and on to NaN (IEEE 754).
template <typename Bits>
std::optional<std::size_t> first_beyond(std::span<const std::byte> values, Bits largest) {
  constexpr auto kMagnitude = static_cast<Bits>(static_cast<Bits>(~Bits{0}) >> 1);
  const std::size_t count = values.size() / sizeof(Bits);
  for (std::size_t i = 0; i < count; ++i) {
    Bits bits = 0;
    std::memcpy(&bits, values.data() + i * sizeof(Bits), sizeof(Bits));
    if ((bits & kMagnitude) > largest) return i;
  }
  return std::nullopt;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 0x1f) return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(0x400 + fraction, exponent - 25);
}

}  // namespace

std::optional<std::size_t> first_unusable(std::span<const std::byte> values, store::ElementType type) {
  PHASE0_CHECK(type == store::ElementType::kFloat16 || type == store::ElementType::kFloat32);
  constexpr std::uint16_t kLargestHalf = 0x7bff;
  return type == store::ElementType::kFloat16
             ? first_beyond<std::uint16_t>(values, kLargestHalf)
             : first_beyond<std::uint32_t>(values, std::bit_cast<std::uint32_t>(kLargestValue));
}

double value_at(std::span<const std::byte> values, store::ElementType type, std::size_t index) {
  if (type == store::ElementType::kFloat16) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, values.data() + index * sizeof bits, sizeof bits);
    return half_to_double(bits);
  }
  float value = 0;
  std::memcpy(&value, values.data() + index * sizeof value, sizeof value);
  return value;
}

}  // namespace phase0::encoders
