#include "core/chunk_tuner.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace phase0::core {
namespace {

constexpr double kGrow = 1.25;
constexpr double kShrink = 0.8;
constexpr double kHolds = 0.95;  ///< of the best: throughput holds
constexpr double kFalls = 0.65;  ///< of the best: throughput has fallen
constexpr double kBetter = 1.05;
constexpr int kChunksOfTrial = 2;
constexpr int kFirstRest = 2;  ///< at the ceiling from the start: is it too large?
constexpr int kRest = 32;      ///< between trials, which cost a few slower chunks each

std::int64_t grown(std::int64_t blocks) {
  return std::max(blocks + 1, static_cast<std::int64_t>(kGrow * static_cast<double>(blocks)));
}
std::int64_t shrunk(std::int64_t blocks) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(kShrink * static_cast<double>(blocks)));
}

}  // namespace

ChunkTuner::ChunkTuner(std::int64_t start, std::int64_t ceiling)
    : ceiling_(ceiling),
      blocks_(std::clamp<std::int64_t>(start, 1, std::max<std::int64_t>(ceiling, 1))),
      best_blocks_(blocks_) {
  PHASE0_CHECK(ceiling >= 1);
  if (blocks_ == ceiling_) rest(blocks_, kFirstRest);
}

void ChunkTuner::report(std::int64_t rows, double seconds) {
  if (rows <= 0 || !(seconds > 0)) return;
  const double rate = static_cast<double>(rows) / seconds;
  if (std::min(rate, previous_) > best_) {
    best_ = std::min(rate, previous_);
    best_blocks_ = blocks_;
  }
  switch (phase_) {
    case Phase::kSeek:
      seek(rate);
      break;
    case Phase::kRest:
      if (--chunks_left_ == 0) end_rest(std::max(rate, previous_));
      break;
    case Phase::kTrial:
      if (--chunks_left_ == 0) end_trial(std::max(rate, previous_));
      break;
  }
  previous_ = rate;
}

void ChunkTuner::seek(double rate) {
  if (rate < kHolds * best_) {
    if (++slow_chunks_ >= 2) slow(std::max(rate, previous_));
    return;
  }
  slow_chunks_ = shrinks_ = 0;
  if (blocks_ < ceiling_) {
    move_to(grown(blocks_));
  } else {
    rest(ceiling_, kRest);
  }
}

/// Two slow chunks in turn, the better one at `rate`.
void ChunkTuner::slow(double rate) {
  slow_chunks_ = 0;
  if (rate >= kFalls * best_) return rest(best_blocks_, kRest);
  if (shrinks_ == 0) {
    rate_at_mark_ = rate;
    mark_blocks_ = blocks_;
  }
  if (blocks_ > 1 && shrinks_ < 2) {
    ++shrinks_;
    return move_to(shrunk(blocks_));
  }
  shrinks_ = 0;
  if (rate > kBetter * rate_at_mark_) return;  // they help: go on from here
  best_ = rate;
  best_blocks_ = mark_blocks_;
  move_to(mark_blocks_);
}

void ChunkTuner::end_rest(double rate) {
  if (blocks_ == 1) {  // nothing smaller to try
    best_ = rate;
    phase_ = Phase::kSeek;
    return move_to(grown(blocks_));
  }
  rate_at_mark_ = rate;
  mark_blocks_ = blocks_;
  phase_ = Phase::kTrial;
  chunks_left_ = kChunksOfTrial;
  move_to(blocks_ / 2);
}

void ChunkTuner::end_trial(double rate) {
  best_ = std::max(rate, rate_at_mark_);  // anew: the machine may have changed since
  if (rate > kBetter * rate_at_mark_) {
    best_blocks_ = blocks_;
    return rest(blocks_, kFirstRest);
  }
  best_blocks_ = mark_blocks_;
  if (mark_blocks_ == ceiling_) return rest(ceiling_, kRest);
  phase_ = Phase::kSeek;
  move_to(mark_blocks_);
}

void ChunkTuner::rest(std::int64_t blocks, int chunks) {
  phase_ = Phase::kRest;
  chunks_left_ = chunks;
  slow_chunks_ = shrinks_ = 0;
  move_to(blocks);
}

void ChunkTuner::move_to(std::int64_t blocks) {
  blocks_ = std::clamp<std::int64_t>(blocks, 1, ceiling_);
}

bool ChunkTuner::halve(std::int64_t blocks) {
  if (blocks <= 1) return false;
  best_blocks_ = blocks / 2;
  rest(best_blocks_, kRest);
  return true;
}

}  // namespace phase0::core
