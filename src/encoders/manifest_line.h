#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "phase0/error.h"

namespace phase0::encoders {

inline constexpr std::int64_t kMaxSequenceItems = 100'000;

/// What a line of a manifest holds.
struct ManifestLine {
  std::string id;
  std::string speaker;              ///< integers in decimal
  std::vector<std::string> chunks;  ///< empty if there is a path, or if they were not to be kept
  std::optional<std::string> path;
};

/// Reads a line without its newline. Takes little more memory than what it returns. Throws Error (kData) at
/// `place`.
ManifestLine parse_manifest_line(std::string_view line, bool keep_chunks, const ErrorPlace& place);

}  // namespace phase0::encoders
