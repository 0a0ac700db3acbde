#pragma once

#include <cstdint>

namespace phase0::core {

/// What an algorithm keeps in memory while it scans, as a function of how much of the data is in flight. Each
/// algorithm declares its own; the plan and the run take their sizes from the same one.
struct ScanNeed {
  std::int64_t fixed_bytes = 0;   ///< whatever is in flight
  std::int64_t block_bytes = 0;   ///< for each block in flight
  std::int64_t worker_bytes = 0;  ///< for each worker: its working copies
  /// Blocks in flight help up to so many bytes; 0: where most scans stop gaining (widest_scan).
  std::int64_t helpful_bytes = 0;

  /// Throws Error (kMemory) when it is more than a number can hold.
  std::int64_t bytes(std::int64_t blocks, int workers) const;
  /// One block in flight, one worker: the least that works, whatever the number of threads.
  std::int64_t minimum_bytes() const { return bytes(1, 1); }
};

/// How wide a scan may be.
struct ScanSize {
  std::int64_t blocks = 1;  ///< in flight at most, >= 1
  int workers = 1;          ///< >= 1
};

/// The widest scan of `n_blocks` blocks that fits `free_bytes`, at least one block and one worker: as many of
/// `threads` workers as fit with a block each, then blocks up to the point where more do not help: 2 for
/// each worker, or `helpful_bytes` of them; without such a figure 16 MiB, and 32 for each worker at most.
ScanSize widest_scan(const ScanNeed& need, std::int64_t n_blocks, int threads, std::int64_t free_bytes);

/// Bytes of that scan: what `plan` prints and what the run reserves.
std::int64_t planned_bytes(const ScanNeed& need, std::int64_t n_blocks, int threads, std::int64_t free_bytes);

}  // namespace phase0::core
