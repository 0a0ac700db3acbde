#pragma once

#include <optional>
#include <string>

#include "phase0/options.h"

namespace phase0::config {

/// What `parse_memory` accepts, for messages.
inline constexpr const char* kMemoryExpected =
    "auto, a size with its unit such as 512MiB or 1.5GB, or a percentage such as 25%";

/// `auto`, a share of what is available (`25%`, above 0 and up to 100), or a size: a number and one of B, KB,
/// MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB, K, M, G, T (powers of 1024), in any case. Sizes are
/// rounded to bytes.
std::optional<MemoryOptions> try_parse_memory(const std::string& text);

/// The same; throws Error (kConfig) for anything else.
MemoryOptions parse_memory(const std::string& text);

/// Text that `parse_memory` reads back to the same value.
std::string format_memory(const MemoryOptions& memory);

}  // namespace phase0::config
