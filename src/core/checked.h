#pragma once

#include <cstdint>
#include <string>

#include "phase0/error.h"

/// Sizes from files and configurations are multiplied through these: an overflow is an Error, never a wrap.
namespace phase0::core {

inline std::int64_t checked_mul(std::int64_t a, std::int64_t b, const std::string& what = "size",
                                ErrorKind kind = ErrorKind::kData) {
  std::int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) {
    throw Error(kind, what + " is too large: " + std::to_string(a) + " x " + std::to_string(b));
  }
  return product;
}

inline std::int64_t checked_add(std::int64_t a, std::int64_t b, const std::string& what = "size",
                                ErrorKind kind = ErrorKind::kData) {
  std::int64_t sum = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum)) {
    throw Error(kind, what + " is too large: " + std::to_string(a) + " + " + std::to_string(b));
  }
  return sum;
}

inline constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
inline constexpr std::int64_t round_up(std::int64_t a, std::int64_t unit) {
  return ceil_div(a, unit) * unit;
}

}  // namespace phase0::core
