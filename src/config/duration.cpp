#include "config/duration.h"

#include <cmath>
#include <cstdint>
#include <string_view>

#include "config/number.h"

namespace phase0::config {
namespace {

/// Milliseconds of a unit; 0 when it is not one.
std::int64_t unit_milliseconds(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s" || unit.empty()) return 1000;
  if (unit == "m") return 60 * 1000;
  if (unit == "h") return 3600 * 1000;
  return 0;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(const std::string& text) {
  constexpr double kLongest = 1000.0 * 3600 * 1000;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::int64_t unit = unit_milliseconds(std::string_view(text).substr(digits));
  const std::optional<double> number = parse_real(std::string_view(text).substr(0, digits));
  if (!number || unit == 0) return std::nullopt;
  const double milliseconds = std::round(*number * static_cast<double>(unit));
  if (milliseconds > kLongest) return std::nullopt;
  return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
}

}  // namespace phase0::config
