#pragma once

#include "sources/open_source.h"

namespace phase0::test {

/// Room for all that a test reads.
inline sources::SourceRoom room() {
  static core::MemoryBudget memory(std::int64_t{1} << 30, "test");
  return {.memory = memory, .folder = "/tmp"};
}

}  // namespace phase0::test
