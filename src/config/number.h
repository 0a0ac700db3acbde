#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>

namespace phase0::config {

/// True for `010`, `-007`, `00.5`: YAML 1.1 reads these as octal, people as decimal, so they are refused.
bool has_leading_zero(std::string_view text);

/// A decimal integer that is the whole of `text`, or nothing. No plus sign, leading zeros, hex, exponents or
/// `_`.
template <std::integral T>
std::optional<T> parse_integer(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || has_leading_zero(text)) return std::nullopt;
  return value;
}

/// A finite decimal number that is the whole of `text`, or nothing. Integers count.
std::optional<double> parse_real(std::string_view text);

/// The shortest text that `parse_real` reads back to the same value.
std::string format_real(double value);

}  // namespace phase0::config
