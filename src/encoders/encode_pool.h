#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "encoders/sequence_encoder.h"

namespace phase0::encoders {

/// What the workers of a pool are to do together.
struct PoolWork {
  std::vector<std::size_t> sequences;  ///< numbers, in the order in which they are begun
  /// The items of a sequence. Called in the workers' threads.
  std::function<std::vector<std::string>(std::size_t sequence)> items;
  /// Takes the rows of a sequence. Called for one at a time, in the order in which they are finished.
  std::function<void(std::size_t sequence, const SequenceRows& rows)> done;
  /// A sequence that cannot be encoded, likewise; throwing ends the work.
  std::function<void(std::size_t sequence, const Error& error)> failed;
  /// An encoder was ended because together they held so much. Called in a thread of its own.
  std::function<void(std::int64_t bytes)> over_memory = [](std::int64_t) {};
};

struct PoolLimits {
  std::int64_t n_workers = 1;
  std::int64_t memory_bytes = 0;  ///< of this process, all encoders and what they start; 0: not watched
};

struct PoolFigures {
  EncoderTimes times;
  std::int64_t peak_bytes = 0;           ///< of this process, all encoders and what they start
  std::int64_t encoders_peak_bytes = 0;  ///< without this process
  std::int64_t n_over_memory = 0;        ///< encoders that were ended for their memory
  std::int64_t n_not_started = 0;        ///< workers beside the first without an encoder
};

/// Runs encoders until every sequence is done or failed; the caller is one of the workers, and goes on
/// without those whose encoder does not start. Over the limit of memory the largest encoder is ended, which
/// counts for it as out of memory. Throws what `items` (but Error of kData, which fails that sequence),
/// `done` and `failed` throw, and Error (kInterrupted). Only `first` can still run on return. Figures of
/// `first` are those since it was made.
PoolFigures run_pool(ProcessKeeper& keeper, const EncoderSettings& settings, BatchSizes& batches,
                     SequenceEncoder& first, const PoolLimits& limits, const PoolWork& work);

}  // namespace phase0::encoders
