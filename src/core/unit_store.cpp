#include "core/unit_store.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"

namespace phase0::core {
namespace {

/// Time between two saves in units of the time that the last one took.
constexpr double kPatience = 20;

}  // namespace

Checkpoint::Checkpoint(UnitStore* store, UnitId unit) : store_(store), unit_(std::move(unit)) {
  if (store_ != nullptr) next_seconds_ = now_seconds() + store_->interval_seconds();
}

bool Checkpoint::due() const {
  return store_ != nullptr && now_seconds() >= next_seconds_;
}

bool Checkpoint::save(const UnitStore::Write& write) {
  if (store_ == nullptr) return false;
  const double begin = now_seconds();
  const bool is_kept = store_->save(unit_, write);
  const double end = now_seconds();
  const double interval = store_->interval_seconds();
  next_seconds_ = end + (interval > 0 ? std::max(interval, kPatience * (end - begin)) : 0);
  return is_kept;
}

}  // namespace phase0::core
