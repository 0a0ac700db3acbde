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

bool append_checked(std::string_view text, std::vector<std::string>& out, std::string& problem) {
  if (text.find('\0') != std::string_view::npos) {
    problem = fmt::format("string {} holds a NUL byte", out.size());
  } else if (!core::is_valid_utf8(text)) {
    problem = fmt::format("string {} is not valid UTF-8", out.size());
  } else {
    out.emplace_back(text);
    return true;
  }
  return false;
}

}  // namespace phase0::store
