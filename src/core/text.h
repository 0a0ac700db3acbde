#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Text from files and programs of others.
namespace phase0::core {

/// Index of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7); npos when there is
/// none.
std::size_t first_invalid_utf8(std::string_view text) noexcept;

bool is_valid_utf8(std::string_view text) noexcept;

/// Index of the first control character (U+0000 to U+001F, U+007F to U+009F) that is not in `allowed`; npos
/// when there is none.
std::size_t first_control_character(std::string_view text, std::string_view allowed = {}) noexcept;

/// Bytes of the character at the front of `text`, which is not empty; 0 when it is not well-formed, or one
/// that could drive a terminal or forge a line: a control character, a line separator, or one that turns the
/// direction of writing (U+202A to U+202E, U+2066 to U+2069). May be called in a signal handler.
std::size_t printable_length(std::string_view text) noexcept;

/// `text` with the bytes of characters that are not printable as `\xNN`, but for those in `allowed`: names
/// from files must not drive a terminal.
std::string printable(std::string_view text, std::string_view allowed = {});

/// What a message quotes of somebody else's text, in bytes.
inline constexpr std::size_t kMaxQuoted = 200;

/// The first `longest` bytes of `text`, less those of a character that is cut, and `...` in place of the
/// rest; all of it when it is no longer.
std::string clipped(std::string_view text, std::size_t longest = kMaxQuoted);

}  // namespace phase0::core
