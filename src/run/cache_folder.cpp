#include "run/cache_folder.h"

#include <cstdlib>

namespace phase0::run {

std::optional<std::string> cache_folder() {
  const auto absolute = [](const char* variable) -> std::optional<std::string> {
    const char* path = std::getenv(variable);
    if (path == nullptr || path[0] != '/') return std::nullopt;
    return path;
  };
  if (const auto cache = absolute("XDG_CACHE_HOME")) return *cache + "/phase0";
  if (const auto home = absolute("HOME")) return *home + "/.cache/phase0";
  return std::nullopt;
}

}  // namespace phase0::run
