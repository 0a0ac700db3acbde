#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "core/chunk_tuner.h"
#include "core/execution.h"
#include "core/scan_need.h"

namespace phase0::core {

/// What a scan is, for the tuning table: scans of the same kind and like rows want as much in flight.
struct ScanKind {
  std::string name;             ///< `normaliser`, `k-means`, ...; also names the memory in messages
  std::int64_t row_values = 0;  ///< length of a row
  std::int64_t n_blocks = 0;
  /// Begins with all blocks that there is room for, not with a few or with what was learnt: where every chunk
  /// costs a pass over much that is held.
  bool widest_first = false;
};

/// An algorithm's room to scan in, for one or many passes: it holds the reserved memory, limits the workers
/// to those whose working copies fit, and tunes how many blocks are in flight. Used from one thread.
class ScanRoom {
 public:
  /// As wide as the free memory allows (widest_scan). Throws Error (kMemory) when not even one block and one
  /// worker fit.
  ScanRoom(Execution& execution, const ScanNeed& need, ScanKind kind);
  /// Leaves what was learnt in the tuning table, unless memory ran out on the way or an exception ends the
  /// scan: what fitted in a bad moment is no start for the next scan.
  ~ScanRoom();
  ScanRoom(const ScanRoom&) = delete;
  ScanRoom& operator=(const ScanRoom&) = delete;

  Execution& execution() const { return execution_; }
  int workers() const { return execution_.pool.size(); }
  /// Blocks that are ever in flight at once.
  std::int64_t slots() const { return size_.blocks; }
  /// Blocks to take next; half of the slots at most while memory is short.
  std::int64_t blocks() const;
  /// A chunk of `blocks` blocks, `rows` rows, took so long.
  void report(std::int64_t blocks, std::int64_t rows, double seconds);
  /// A chunk of `blocks` blocks failed with `error`. When memory was the reason it is to be tried again with
  /// half as many (at one block: once more, `tried_alone` says that it was), after its buffers were freed.
  /// Throws Error (kMemory) with the figures when that does not help, and everything else as it is.
  void retry_smaller(std::int64_t blocks, bool tried_alone, const std::exception_ptr& error);

 private:
  std::string key() const;
  ChunkTuner tuner() const;

  Execution& execution_;
  ScanNeed need_;
  ScanKind kind_;
  ScanSize size_;
  Reservation reservation_;
  WorkerLimit limit_;
  ChunkTuner tuner_;
  bool ran_out_ = false;                                ///< of memory, ever
  int exceptions_before_ = std::uncaught_exceptions();  ///< more of them at the end: one ends the scan
};

}  // namespace phase0::core
