#include "encoders/batch_tuner.h"

#include <algorithm>

#include "core/check.h"

namespace phase0::encoders {
namespace {

constexpr double kStep = 1.25;  ///< of growth, as in core::ChunkTuner
constexpr double kFull = 0.9;   ///< share of the items asked for from which on a message counts as full

}  // namespace

BatchTuner::BatchTuner(std::int64_t start, std::int64_t ceiling)
    : ceiling_(ceiling), tuner_(start, ceiling) {}

void BatchTuner::worked(std::int64_t n_items, double seconds) {
  largest_good_ = std::max(largest_good_, n_items);
  if (static_cast<double>(n_items) >= kFull * static_cast<double>(items())) tuner_.report(n_items, seconds);
}

bool BatchTuner::too_much(std::int64_t n_items) {
  PHASE0_CHECK(n_items >= 1);
  if (n_items == 1) return false;
  // What worked before may not any more, when others have taken the memory meanwhile.
  if (largest_good_ >= n_items) largest_good_ = n_items / 2;
  // A step up from the largest that worked leads here or beyond: growth is to end there.
  const bool is_next_step = kStep * static_cast<double>(largest_good_) + 1 >= static_cast<double>(n_items);
  ceiling_ = std::min(ceiling_, is_next_step ? std::max<std::int64_t>(1, largest_good_) : n_items - 1);
  tuner_ = core::ChunkTuner(std::min(n_items / 2, ceiling_), ceiling_);
  return true;
}

void BatchTuner::limit(std::int64_t ceiling) {
  PHASE0_CHECK(ceiling >= 1);
  if (ceiling >= ceiling_) return;
  ceiling_ = ceiling;
  tuner_ = core::ChunkTuner(std::min(items(), ceiling_), ceiling_);
}

}  // namespace phase0::encoders
