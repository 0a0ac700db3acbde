#include "config/number.h"

#include <fmt/format.h>

#include <cmath>

namespace phase0::config {

bool has_leading_zero(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

std::optional<double> parse_real(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || has_leading_zero(text) || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::string format_real(double value) {
  return fmt::format("{}", value);
}

}  // namespace phase0::config
