#pragma once

#include <string>
#include <string_view>

namespace phase0::core {

/// 128 bits as hexadecimal digits, the same on every platform. Tells texts apart that nobody chose to
/// collide; it is no cryptographic hash.
std::string fingerprint(std::string_view text);

}  // namespace phase0::core
