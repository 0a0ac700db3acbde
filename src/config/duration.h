#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace phase0::config {

/// What `parse_duration` accepts, for messages.
inline constexpr const char* kDurationExpected =
    "a time such as 500ms, 5s, 2m or 1h (seconds without a unit)";

/// A number, not negative, and one of ms, s, m, h; seconds without one. Rounded to milliseconds; at most 1000
/// hours. Nothing for anything else.
std::optional<std::chrono::milliseconds> parse_duration(const std::string& text);

}  // namespace phase0::config
