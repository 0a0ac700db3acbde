#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace phase0::run {

/// What an earlier start wrote; nothing when it is no JSON any more, or nested deeper than anything that is
/// written here (the library copies and writes values by recursion). Throws Error (kStorage) when the file
/// cannot be read or is larger than `max_bytes`.
std::optional<nlohmann::ordered_json> read_json(const std::string& path, std::int64_t max_bytes);

/// Throws nlohmann::json::type_error for anything but a whole number: the library would cast any number.
std::int64_t whole_number(const nlohmann::ordered_json& value);

}  // namespace phase0::run
