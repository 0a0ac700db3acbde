#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace phase0::core {

/// Blocks in flight that tuned scans ended with, by what was scanned (ScanRoom). Start values for the next
/// scan of the same kind; they change its speed, never its result. Not thread-safe: used between scans only.
using TuningTable = std::map<std::string, std::int64_t>;

}  // namespace phase0::core
