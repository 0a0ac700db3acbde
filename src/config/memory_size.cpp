#include "config/memory_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>

#include "config/number.h"
#include "config/value.h"
#include "phase0/error.h"

namespace phase0::config {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Bytes of a unit in lower case; 0 when it is not one.
std::int64_t unit_bytes(const std::string& unit) {
  if (unit == "b") return 1;
  constexpr std::string_view kPrefixes = "kmgt";
  const auto power = unit.empty() ? std::string_view::npos : kPrefixes.find(unit[0]);
  if (power == std::string_view::npos) return 0;
  const std::string rest = unit.substr(1);
  if (rest != "b" && rest != "ib" && !rest.empty()) return 0;
  std::int64_t bytes = 1;
  for (std::size_t i = 0; i <= power; ++i) bytes *= rest == "b" ? 1000 : 1024;
  return bytes;
}

}  // namespace

std::optional<MemoryOptions> try_parse_memory(const std::string& text) {
  MemoryOptions memory;
  if (text == "auto") return memory;
  if (text.ends_with('%')) {
    const std::size_t end = text.ends_with(" %") ? text.size() - 2 : text.size() - 1;
    memory.budget_percent = parse_real(std::string_view(text).substr(0, end));
    if (!(memory.budget_percent > 0.0 && memory.budget_percent <= 100.0)) return std::nullopt;
    return memory;
  }
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::optional<double> number = parse_real(std::string_view(text).substr(0, digits));
  std::string unit = lower_case(text.substr(digits));
  if (unit.starts_with(' ')) unit.erase(0, 1);
  if (!number) return std::nullopt;
  constexpr double kLimit = 0x1p60;
  const double bytes = std::round(*number * static_cast<double>(unit_bytes(unit)));
  if (bytes < 1 || bytes > kLimit) return std::nullopt;
  const auto whole = parse_integer<std::int64_t>(std::string_view(text).substr(0, digits));
  // Whole numbers are multiplied as such: above 2^53 a double would round them.
  memory.budget_bytes = whole ? *whole * unit_bytes(unit) : static_cast<std::int64_t>(bytes);
  return memory;
}

MemoryOptions parse_memory(const std::string& text) {
  if (const auto memory = try_parse_memory(text)) return *memory;
  throw Error(ErrorKind::kConfig, fmt::format("expected {}, got {}", kMemoryExpected, quote(text)));
}

std::string format_memory(const MemoryOptions& memory) {
  if (memory.budget_percent) return format_real(*memory.budget_percent) + "%";
  if (!memory.budget_bytes) return "auto";
  std::int64_t value = *memory.budget_bytes;
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; unit < 4 && value != 0 && value % 1024 == 0; ++unit) value /= 1024;
  return fmt::format("{}{}", value, kUnits[unit]);
}

}  // namespace phase0::config
