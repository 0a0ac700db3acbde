#pragma once

#include <cstdint>
#include <string>

#include "core/memory.h"
#include "core/memory_monitor.h"
#include "phase0/observer.h"

namespace phase0::run {

/// What an import or export works with: its memory, who watches it, and who is told.
class Conversion {
 public:
  Conversion(const MemoryOptions& options, Observer& observer);

  core::MemoryBudget& memory() { return memory_; }
  Observer& observer() const { return observer_; }
  /// Throws Error (kInterrupted, kMemory). Call between blocks.
  void check_stop() const;
  /// Bytes of rows to have in memory at a time when `beside` bytes more are needed: what is free, but not
  /// more than helps, and a row at least.
  std::int64_t block_bytes(std::int64_t row_bytes, std::int64_t beside) const;

 private:
  Observer& observer_;
  core::MemoryBudget memory_;
  core::MemoryMonitor monitor_;
};

/// Throws Error (kConfig) when something stands at `path`, unless it is to be replaced; a folder is never.
void refuse_existing(const std::string& path, bool replace);
/// Throws Error (kConfig) when `output` is `input`, under whatever name: it would be gone.
void refuse_input(const std::string& output, const std::string& input);

}  // namespace phase0::run
