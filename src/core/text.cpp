#include "core/text.h"

#include <fmt/format.h>

#include <cstdint>

namespace phase0::core {
namespace {

struct Character {
  std::size_t length = 0;  ///< in bytes; 0 when there is no well-formed one
  std::uint32_t code = 0;
};

/// The character at the front of `text`, which is not empty.
Character first_character(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead};
  std::size_t length = 0;
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  if (lead >= 0xE0 && lead <= 0xEF) length = 3;
  if (lead >= 0xF0 && lead <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return {};
  std::uint32_t code = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0U) != 0x80U) return {};
    code = (code << 6) | (byte & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (overlong || surrogate || code > 0x10FFFF) return {};
  return {length, code};
}

bool is_control(std::uint32_t code) noexcept {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}

bool is_line_separator(std::uint32_t code) noexcept {
  return code == 0x2028 || code == 0x2029;
}

/// Text after it may be shown in another order than it is written.
bool turns_direction(std::uint32_t code) noexcept {
  return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::size_t first_invalid_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = first_character(text.substr(i)).length;
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

bool is_valid_utf8(std::string_view text) noexcept {
  return first_invalid_utf8(text) == std::string_view::npos;
}

std::size_t first_control_character(std::string_view text, std::string_view allowed) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const Character character = first_character(text.substr(i));
    const bool known = character.length > 0;
    if (known && is_control(character.code) && allowed.find(text[i]) == std::string_view::npos) return i;
    i += known ? character.length : 1;
  }
  return std::string_view::npos;
}

std::size_t printable_length(std::string_view text) noexcept {
  const Character character = first_character(text);
  const std::uint32_t code = character.code;
  return is_control(code) || is_line_separator(code) || turns_direction(code) ? 0 : character.length;
}

std::string printable(std::string_view text, std::string_view allowed) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool is_allowed = allowed.find(text[i]) != std::string_view::npos;
    const std::size_t length = is_allowed ? 1 : printable_length(text.substr(i));
    if (length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i++]));
    } else {
      out += text.substr(i, length);
      i += length;
    }
  }
  return out;
}

std::string clipped(std::string_view text, std::size_t longest) {
  if (text.size() <= longest) return std::string(text);
  const auto is_tail = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U; };
  std::size_t end = longest;
  while (end > 0 && longest - end < 3 && is_tail(end)) --end;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace phase0::core
