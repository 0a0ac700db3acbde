#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace phase0::config {

/// Index of the first control character (below 0x20, or 0x7f) that is not in `allowed`; npos when there is
/// none.
std::size_t first_control_character(std::string_view text, std::string_view allowed = {});

/// Index of the first byte that is not part of well-formed UTF-8 (RFC 3629); npos when there is none.
std::size_t first_invalid_utf8(std::string_view text);

/// `text` with invalid bytes and control characters other than those in `allowed` as `\xNN`: names from files
/// must not drive a terminal.
std::string printable(std::string_view text, std::string_view allowed = {});

}  // namespace phase0::config
