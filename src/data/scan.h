#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "core/execution.h"
#include "data/feature_source.h"

namespace phase0::data {

/// Works on one canonical block. `slot` numbers the blocks in flight from 0 and stands for room that no other
/// block uses until `finish`; `worker` is the calling thread's number.
using BlockWork =
    std::function<void(std::int64_t block, std::int64_t slot, int worker, const FeatureBlock& data)>;
/// Called on the caller's thread after blocks [first, first + n) were worked on, in ascending order of
/// `first`: slot i holds block first + i. What is combined here in block order does not depend on threads or
/// on `in_flight`.
using ChunkFinish = std::function<void(std::int64_t first, std::int64_t n)>;

/// One pass over all canonical blocks, `in_flight` at a time, each loaded and worked on by one worker. Reads
/// ahead of the workers and releases mapped pages behind them. Tells the observer of rows and bytes under
/// `task` (no task of its own when empty). Throws Error (kInterrupted) between chunks when asked to stop.
void scan(const FeatureSource& source, core::Execution& execution, std::string_view task,
          std::int64_t in_flight, const BlockWork& work, const ChunkFinish& finish = {});

/// Loads chunks of blocks and keeps them all for `finish`, which works on them with its own parallelism: for
/// results that are split over threads by output, not by rows. `chunk[i]` is block first + i, for `finish` to
/// use up.
using LoadedChunk = std::function<void(std::int64_t first, std::vector<FeatureBlock>& chunk)>;
void scan_chunks(const FeatureSource& source, core::Execution& execution, std::string_view task,
                 std::int64_t in_flight, const LoadedChunk& finish);

}  // namespace phase0::data
