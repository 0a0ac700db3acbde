#pragma once

#include <cstdint>

#include "core/chunk_tuner.h"

namespace phase0::encoders {

/// Finds how many items of about one length to send in a message. Pure logic: the caller keeps the clock. The
/// rules of growing and shrinking are those of core::ChunkTuner; beyond them, once a batch was too much for
/// the memory, half as many are tried and growth ends at the largest batch that worked. As a step up is a
/// quarter, that is more than 80 % of what the memory holds.
class BatchTuner {
 public:
  /// ceiling >= 1; `start` is clipped to [1, ceiling].
  BatchTuner(std::int64_t start, std::int64_t ceiling);

  /// Items for the next message, in [1, ceiling].
  std::int64_t items() const { return tuner_.blocks(); }
  std::int64_t ceiling() const { return ceiling_; }
  /// A message of so many items took so long. Those much smaller than items(), as at the end of a sequence,
  /// say nothing about its speed.
  void worked(std::int64_t n_items, double seconds);
  /// A message of so many items was too much. False for one item: there is nothing smaller.
  bool too_much(std::int64_t n_items);
  /// From now on no more than this, for reasons of memory outside.
  void limit(std::int64_t ceiling);

 private:
  std::int64_t ceiling_;
  std::int64_t largest_good_ = 0;
  core::ChunkTuner tuner_;
};

}  // namespace phase0::encoders
