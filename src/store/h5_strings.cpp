#include "store/h5_strings.h"

#include <fmt/format.h>

#include "core/text.h"

namespace phase0::store {
std::string_view unpad(std::string_view stored, H5T_str_t padding) {
  if (padding == H5T_STR_NULLTERM) return stored.substr(0, stored.find('\0'));
  const char pad = padding == H5T_STR_SPACEPAD ? ' ' : '\0';
  const std::size_t last = stored.find_last_not_of(pad);
  return last == std::string_view::npos ? std::string_view{} : stored.substr(0, last + 1);
}

std::string text_problem(std::string_view text, std::size_t number) {
  if (text.find('\0') != std::string_view::npos) return fmt::format("string {} holds a NUL byte", number);
  if (!core::is_valid_utf8(text)) return fmt::format("string {} is not valid UTF-8", number);
  return "";
}

}  // namespace phase0::store
