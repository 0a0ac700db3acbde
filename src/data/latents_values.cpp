#include "data/latents_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/check.h"

namespace phase0::data {
namespace {

using store::ElementType;

template <typename T>
T load(const std::byte* values, std::int64_t i) {
  T value;
  std::memcpy(&value, values + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

float half_to_float(std::uint16_t half) {
  const int exponent = half >> 10 & 0x1f;
  const int mantissa = half & 0x3ff;
  float magnitude = 0;
  if (exponent == 0x1f) {
    magnitude =
        mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa + 0x400), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

/// float16 reaches no further than 65504.
struct UnusableHalf {
  using Stored = std::uint16_t;
  bool operator()(Stored bits) const { return (bits & 0x7c00U) == 0x7c00U; }
};
/// Magnitudes are ordered as their bits; infinities and NaN come last.
struct UnusableFloat {
  using Stored = std::uint32_t;
  explicit UnusableFloat(float largest) : largest_bits(std::bit_cast<std::uint32_t>(largest)) {}
  bool operator()(Stored bits) const { return (bits & 0x7fffffffU) > largest_bits; }
  std::uint32_t largest_bits;
};
struct UnusableDouble {
  using Stored = double;
  explicit UnusableDouble(float largest)
      : beyond(static_cast<double>(largest) +
               static_cast<double>(largest - std::nextafter(largest, 0.0f)) / 2) {}
  bool operator()(Stored value) const { return !(std::abs(value) < beyond); }
  double beyond;  ///< rounds to more than the largest
};

template <typename Unusable>
std::int64_t first_of(const Unusable& is_unusable, const std::byte* values, std::int64_t n) {
  using T = typename Unusable::Stored;
  constexpr std::int64_t kTile = 4096;  // one test without branches first
  for (std::int64_t begin = 0; begin < n; begin += kTile) {
    const std::int64_t end = std::min(begin + kTile, n);
    unsigned any = 0;
    for (std::int64_t i = begin; i < end; ++i) any |= static_cast<unsigned>(is_unusable(load<T>(values, i)));
    if (any == 0) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (is_unusable(load<T>(values, i))) return i;
    }
  }
  return n;
}

}  // namespace

void to_float32(ElementType type, const std::byte* values, std::int64_t n, float* out) {
  switch (type) {
    case ElementType::kFloat16:
      for (std::int64_t i = 0; i < n; ++i) out[i] = half_to_float(load<std::uint16_t>(values, i));
      return;
    case ElementType::kFloat32:
      std::memcpy(out, values, static_cast<std::size_t>(n) * sizeof(float));
      return;
    case ElementType::kFloat64:
      for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(load<double>(values, i));
      return;
    default:
      PHASE0_CHECK(false && "a float type");
  }
}

std::int64_t first_unusable(ElementType type, const std::byte* values, std::int64_t n, float largest) {
  switch (type) {
    case ElementType::kFloat16:
      return first_of(UnusableHalf{}, values, n);
    case ElementType::kFloat32:
      return first_of(UnusableFloat{largest}, values, n);
    case ElementType::kFloat64:
      return first_of(UnusableDouble{largest}, values, n);
    default:
      PHASE0_CHECK(false && "a float type");
  }
  return n;
}

std::string describe_unusable(ElementType type, const std::byte* value, float largest) {
  float converted = 0;
  to_float32(type, value, 1, &converted);
  if (std::isnan(converted)) return "NaN";
  if (std::isfinite(converted)) {
    return fmt::format("{} (at most {:g} in magnitude is computed with)", converted, largest);
  }
  const bool stored_finite = type == ElementType::kFloat64 && std::isfinite(load<double>(value, 0));
  return stored_finite ? "a value beyond float32" : "infinity";
}

}  // namespace phase0::data
