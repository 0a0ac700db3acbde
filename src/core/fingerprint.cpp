#include "core/fingerprint.h"

#include <fmt/format.h>

#include "core/random.h"

namespace phase0::core {

std::string fingerprint(std::string_view text) {
  return fmt::format("{:016x}{:016x}", derive_seed(1, text), derive_seed(2, text));
}

}  // namespace phase0::core
