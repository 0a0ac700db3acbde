#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/scan_room.h"
#include "data/feature_source.h"

namespace phase0::data {

/// Works on one canonical block. `slot` numbers the blocks in flight from 0, below ScanRoom::slots(), and
/// stands for room that no other block uses until `finish`; `worker` is the calling thread's number, below
/// ScanRoom::workers(). What it writes depends on the block alone, for when memory runs out a block is worked
/// on again with fewer in flight, in any slot.
using BlockWork =
    std::function<void(std::int64_t block, std::int64_t slot, int worker, const FeatureBlock& data)>;
/// Called on the caller's thread after blocks [first, first + n) were worked on, in ascending order of
/// `first`: slot i holds block first + i. What is combined here in block order does not depend on threads or
/// on how many are in flight. Never repeated: what it throws ends the scan.
using ChunkFinish = std::function<void(std::int64_t first, std::int64_t n)>;

/// What a scan itself needs; the algorithm adds its own. `n_blocks` of the shape bounds what is in flight.
core::ScanNeed scan_need(const SourceShape& rows);
/// The same of scan_chunks.
core::ScanNeed scan_chunks_need(const SourceShape& rows);

/// Room for passes over a source, with the buffers that its blocks are loaded into: kept from pass to pass.
class ScanRoom : public core::ScanRoom {
 public:
  /// `name` as in core::ScanKind.
  ScanRoom(core::Execution& execution, const core::ScanNeed& need, std::string name, const SourceShape& rows)
      : core::ScanRoom(execution, need, {std::move(name), rows.dim(), rows.n_blocks()}) {}

 private:
  friend class Walk;
  std::vector<FeatureBlock> loaded_;
};

/// One pass over all canonical blocks, as many at a time as the room tunes, each loaded and worked on by one
/// worker. Reads ahead of the workers where the page cache cannot hold the file. Tells the observer of rows
/// and bytes under `task` (no task of its own when empty). Throws Error (kInterrupted, kMemory) between
/// chunks. From block `first_block` on, when those before it are done.
void scan(const FeatureSource& source, ScanRoom& room, std::string_view task, const BlockWork& work,
          const ChunkFinish& finish = {}, std::int64_t first_block = 0);

/// Loads rows of the block that is worked on, by their ascending numbers in it (FeatureSource::load_rows). To
/// be called once at most; the rows are the caller's until `work` returns.
using RowLoader = std::function<const FeatureBlock&(std::span<const std::int32_t> wanted)>;
/// As BlockWork, before anything of the block was loaded.
using RowWork = std::function<void(std::int64_t block, std::int64_t slot, int worker, const RowLoader& load)>;
/// scan() for work that looks at some of the rows only. Others are read only where blocks are read ahead.
void scan_rows(const FeatureSource& source, ScanRoom& room, std::string_view task, const RowWork& work,
               const ChunkFinish& finish = {});

/// Loads chunks of blocks and keeps them all for `finish`, which works on them with its own parallelism: for
/// results that are split over threads by output, not by rows. `chunk[i]` is block first + i, for `finish` to
/// use up; `finish` is never repeated.
using LoadedChunk = std::function<void(std::int64_t first, std::vector<FeatureBlock>& chunk)>;
/// From block `first_block` on, when those before it are done.
void scan_chunks(const FeatureSource& source, ScanRoom& room, std::string_view task,
                 const LoadedChunk& finish, std::int64_t first_block = 0);

}  // namespace phase0::data
