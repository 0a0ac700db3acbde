#pragma once

#include <string_view>

namespace phase0::store {

/// Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7).
bool is_valid_utf8(std::string_view text);

}  // namespace phase0::store
