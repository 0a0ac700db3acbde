#include "report/number.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "core/check.h"

namespace phase0::report {

std::string shortest(double value) {
  if (!std::isfinite(value)) return {};
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  PHASE0_CHECK(error == std::errc{});
  return {text.data(), end};
}

std::string fixed(std::optional<double> value, int decimals) {
  if (!value || !std::isfinite(*value)) return kUndefined;
  if (std::abs(*value) >= 1e9) return compact(*value);
  std::string text = fmt::format("{:.{}f}", *value, decimals);
  if (text.front() == '-' && text.find_first_of("123456789") == std::string::npos) text.erase(0, 1);
  return text;
}

std::string percent(std::optional<double> share, int decimals) {
  if (!share || !std::isfinite(*share)) return kUndefined;
  return fixed(*share * 100.0, decimals) + "%";
}

std::string count(std::int64_t value) {
  std::string text = std::to_string(value);
  const std::size_t first = text.front() == '-' ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string compact(double value, int digits) {
  if (!std::isfinite(value)) return kUndefined;
  return fmt::format("{:.{}g}", value, digits);
}

}  // namespace phase0::report
