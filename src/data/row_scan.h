#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/execution.h"
#include "core/scan_need.h"
#include "data/row_input.h"

namespace phase0::data {

/// Passes over rows in the order of the file, decoded to float32. They go in blocks whose size depends on the
/// length of a row alone, several blocks at a time, each worked on by one worker.
class RowScan {
 public:
  /// Of block `block`: rows [first, first + n) as `rows` [n, dim], in slot `slot` of those in flight.
  struct Block {
    std::int64_t slot = 0, first = 0, n = 0;
    const float* rows = nullptr;
  };
  using Work = std::function<void(const Block& block, int worker)>;
  /// Follows the work on rows [first, first + n), in slots 0 .. `slots` - 1, on the caller's thread.
  using Finish = std::function<void(std::int64_t first, std::int64_t n, std::int64_t slots)>;
  /// Runs beside the work on the rows that follow.
  using Aside = std::function<void()>;

  /// What a scan takes when each block in flight and each worker need so much besides.
  static core::ScanNeed need(const RowInput& input, std::int64_t block_bytes, std::int64_t worker_bytes);
  static std::int64_t block_rows(std::int64_t dim);
  static std::int64_t n_blocks(const RowInput& input);

  /// `size` is of a scan whose memory the caller holds. Values larger than `largest`, NaN and infinities end
  /// run() with Error (kData) that names the first of them.
  RowScan(const RowInput& input, core::Execution& execution, const core::ScanSize& size, float largest);

  void run(const std::string& task, const Work& work, const Finish& finish, const Aside& aside = {});

 private:
  void load(std::int64_t first, std::int64_t n, const std::byte* stored, int worker, Block& block);
  void note(std::int64_t row);
  [[noreturn]] void fail(std::int64_t row) const;
  std::int64_t row_bytes() const { return input_.codec().row_bytes(); }

  const RowInput& input_;
  core::Execution& execution_;
  core::ScanSize size_;
  float largest_;
  std::int64_t block_rows_;
  store::MappedDataset mapped_;                         ///< where the input can be mapped
  core::AlignedBuffer<std::byte> chunk_;                ///< where not: rows of all blocks in flight
  std::vector<core::AlignedBuffer<std::byte>> stored_;  ///< of each worker
  std::vector<core::AlignedBuffer<float>> rows_;        ///< of each worker
  std::atomic<std::int64_t> first_bad_;                 ///< n_rows as long as none is known
};

}  // namespace phase0::data
