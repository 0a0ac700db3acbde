#include "data/latents_values.h"

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

/// Values from here on round to an infinity of float32: its largest value and half a unit in the last place.
constexpr double kBeyondFloat32 = 0x1.ffffffp127;

bool is_bad(std::uint16_t bits) {
  return (bits & 0x7c00U) == 0x7c00U;
}
bool is_bad(std::uint32_t bits) {
  return (bits & 0x7f800000U) == 0x7f800000U;
}
bool is_bad(double value) {
  return !(std::abs(value) < kBeyondFloat32);
}

template <typename T>
std::int64_t first_bad(const std::byte* values, std::int64_t n) {
  constexpr std::int64_t kTile = 4096;  // one test without branches first
  for (std::int64_t begin = 0; begin < n; begin += kTile) {
    const std::int64_t end = std::min(begin + kTile, n);
    unsigned any = 0;
    for (std::int64_t i = begin; i < end; ++i) any |= static_cast<unsigned>(is_bad(load<T>(values, i)));
    if (any == 0) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (is_bad(load<T>(values, i))) return i;
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

std::int64_t first_non_finite(ElementType type, const std::byte* values, std::int64_t n) {
  switch (type) {
    case ElementType::kFloat16:
      return first_bad<std::uint16_t>(values, n);
    case ElementType::kFloat32:
      return first_bad<std::uint32_t>(values, n);
    case ElementType::kFloat64:
      return first_bad<double>(values, n);
    default:
      PHASE0_CHECK(false && "a float type");
  }
  return n;
}

const char* describe_non_finite(ElementType type, const std::byte* value) {
  if (type == ElementType::kFloat64 && std::isfinite(load<double>(value, 0))) return "a value beyond float32";
  float converted = 0;
  to_float32(type, value, 1, &converted);
  return std::isnan(converted) ? "NaN" : "infinity";
}

}  // namespace phase0::data
