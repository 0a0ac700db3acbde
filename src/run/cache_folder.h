#pragma once

#include <optional>
#include <string>

namespace phase0::run {

/// `$XDG_CACHE_HOME/phase0`, else `$HOME/.cache/phase0`; nothing when neither names an absolute path (XDG
/// Base Directory Specification). It need not exist.
std::optional<std::string> cache_folder();

}  // namespace phase0::run
