#include "data/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>

#include "core/check.h"
#include "core/clock.h"
#include "store/read_ahead.h"

namespace phase0::data {

namespace {

/// One for each of the threads that read: the disk is busy, and more would wait.
constexpr std::int64_t kBlocksAhead = store::ReadAhead::kThreads;

}  // namespace

/// What all scans share: walks the chunks, reads ahead, tunes, eases pressure, tells the observer.
class Walk {
 public:
  Walk(const FeatureSource& source, ScanRoom& room, std::string_view task, std::int64_t first_block = 0)
      : source_(source), room_(room), first_block_(first_block) {
    if (!task.empty()) scope_.emplace(room.execution().observer, task, source.n_rows());
    if (scope_ && first_block > 0) advance(0, first_block);
    const std::int64_t file_bytes = source.lane_rows() * source.frame_dim() * std::int64_t{sizeof(float)};
    if (file_bytes > room.execution().page_cache_bytes) ahead_ = kBlocksAhead;
    for (std::int64_t block = first_block; block < first_block + ahead_; ++block) read_ahead(block);
  }
  ~Walk() {
    if (ahead_ > 0) source_.drop_ahead();
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  std::vector<FeatureBlock>& loaded() { return room_.loaded_; }

  /// On a worker: the block, while those after it are read.
  void load_block(std::int64_t block, FeatureBlock& out) const {
    source_.load_block(block, out);
    if (ahead_ > 0) read_ahead(block + ahead_);
  }
  /// The same with some rows of it.
  void load_rows(std::int64_t block, std::span<const std::int32_t> wanted, FeatureBlock& out) const {
    source_.load_rows(source_.block_first(block), source_.block_size(block), wanted, ahead_ > 0, out);
    if (ahead_ > 0) read_ahead(block + ahead_);
  }

  /// `load(first, n)` is repeated with smaller n, its buffers freed, when memory runs out; `finish(first, n)`
  /// is not.
  template <typename Load, typename Finish>
  void each(const Load& load, const Finish& finish) {
    bool tried_alone = false;
    for (std::int64_t first = first_block_; first < source_.n_blocks();) {
      room_.execution().check_stop();
      const std::int64_t n = std::min(room_.blocks(), source_.n_blocks() - first);
      if (room_.execution().under_pressure()) ease_pressure(n);
      const double start = core::now_seconds();
      try {
        load(first, n);
      } catch (...) {
        room_.loaded_.clear();
        source_.drop_ahead();
        room_.retry_smaller(n, tried_alone, std::current_exception());
        tried_alone = n == 1;
        continue;
      }
      finish(first, n);
      room_.report(n, rows_of(first, n), core::now_seconds() - start);
      if (scope_) advance(first, n);
      first += n;
      tried_alone = false;
    }
  }

 private:
  void advance(std::int64_t first_block, std::int64_t n) {
    const std::int64_t rows = rows_of(first_block, n);
    room_.execution().observer.task_advance(rows, rows * source_.frame_dim() * 4);
  }
  std::int64_t rows_of(std::int64_t first_block, std::int64_t n) const {
    const std::int64_t first = source_.block_first(first_block);
    return std::min(n * source_.block_rows(), source_.n_rows() - first);
  }
  void read_ahead(std::int64_t block) const {
    if (block >= source_.n_blocks()) return;
    source_.read_ahead(source_.block_first(block), source_.block_size(block),
                       kBlocksAhead * source_.ahead_bytes());
  }

  /// Once in a scan: the heap's free pages go back to the kernel. ScanRoom keeps less in flight.
  void ease_pressure(std::int64_t blocks) {
    if (eased_) return;
    eased_ = true;
    core::trim_heap();
    room_.execution().observer.log(
        LogLevel::kDebug,
        fmt::format("memory is short: going on with at most {} block(s) in flight", blocks));
  }

  const FeatureSource& source_;
  ScanRoom& room_;
  std::int64_t first_block_;
  bool eased_ = false;
  std::int64_t ahead_ = 0;  ///< blocks that are read ahead of the workers; 0: the page cache does it
  std::optional<core::TaskScope> scope_;
};

core::ScanNeed scan_need(const SourceShape& rows) {
  return {kBlocksAhead * rows.ahead_bytes, 0, rows.block_bytes};
}

core::ScanNeed scan_chunks_need(const SourceShape& rows) {
  return {kBlocksAhead * rows.ahead_bytes, rows.block_bytes, 0};
}

namespace {

/// Calls `visit(walk, block, slot, worker, buffer)` for every block, on the workers.
template <typename Visit>
void each_block(const FeatureSource& source, ScanRoom& room, std::string_view task, const Visit& visit,
                const ChunkFinish& finish, std::int64_t first_block = 0) {
  Walk walk(source, room, task, first_block);
  std::vector<FeatureBlock>& loaded = walk.loaded();
  walk.each(
      [&](std::int64_t first, std::int64_t n) {
        loaded.resize(static_cast<std::size_t>(room.workers()));
        room.execution().pool.run(n, [&](std::int64_t slot, int worker) {
          visit(walk, first + slot, slot, worker, loaded[static_cast<std::size_t>(worker)]);
        });
      },
      [&](std::int64_t first, std::int64_t n) {
        if (finish) finish(first, n);
      });
}

}  // namespace

void scan(const FeatureSource& source, ScanRoom& room, std::string_view task, const BlockWork& work,
          const ChunkFinish& finish, std::int64_t first_block) {
  each_block(
      source, room, task,
      [&](const Walk& walk, std::int64_t block, std::int64_t slot, int worker, FeatureBlock& buffer) {
        walk.load_block(block, buffer);
        work(block, slot, worker, buffer);
      },
      finish, first_block);
}

void scan_rows(const FeatureSource& source, ScanRoom& room, std::string_view task, const RowWork& work,
               const ChunkFinish& finish) {
  each_block(
      source, room, task,
      [&](const Walk& walk, std::int64_t block, std::int64_t slot, int worker, FeatureBlock& buffer) {
        bool loaded = false;
        const auto load = [&](std::span<const std::int32_t> wanted) -> const FeatureBlock& {
          PHASE0_CHECK(!loaded);
          loaded = true;
          walk.load_rows(block, wanted, buffer);
          return buffer;
        };
        work(block, slot, worker, load);
        if (!loaded) walk.load_rows(block, {}, buffer);  // what was read ahead makes room
      },
      finish);
}

void scan_chunks(const FeatureSource& source, ScanRoom& room, std::string_view task,
                 const LoadedChunk& finish, std::int64_t first_block) {
  Walk walk(source, room, task, first_block);
  std::vector<FeatureBlock>& loaded = walk.loaded();
  walk.each(
      [&](std::int64_t first, std::int64_t n) {
        loaded.resize(static_cast<std::size_t>(n));
        room.execution().pool.run(n, [&](std::int64_t slot, int) {
          walk.load_block(first + slot, loaded[static_cast<std::size_t>(slot)]);
        });
      },
      [&](std::int64_t first, std::int64_t) { finish(first, loaded); });
}

}  // namespace phase0::data
