#pragma once

#include <cstdint>
#include <optional>
#include <string>

/// Numbers as text: exact for machines, rounded for people. Independent of the locale.
namespace phase0::report {

/// The shortest decimal form that reads back to the same double; empty when `value` is not finite.
std::string shortest(double value);

/// `decimals` digits behind the point; a dash when undefined or not finite. A rounded zero carries no sign.
std::string fixed(std::optional<double> value, int decimals = 3);
/// `0.1234` as `12.3%`.
std::string percent(std::optional<double> share, int decimals = 1);
/// `1234567` as `1,234,567`.
std::string count(std::int64_t value);
/// About `digits` significant digits, for figures of any magnitude.
std::string compact(double value, int digits = 4);

/// How people read an undefined figure.
inline constexpr const char* kUndefined = "–";

}  // namespace phase0::report
