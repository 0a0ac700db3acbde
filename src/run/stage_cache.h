#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/unit_store.h"
#include "phase0/observer.h"
#include "run/run_directory.h"

namespace phase0::run {

/// Finished parts of one stage, each in a file of RUN/cache/STAGE (data/FORMAT.md). A unit that is damaged or
/// cannot be written is told to the observer and done without. A run directory in memory (tmpfs) keeps none.
class StageCache final : public core::UnitStore {
 public:
  /// `fresh` discards what is there. The folder appears with the first unit.
  StageCache(const RunDirectory& directory, const std::string& stage, double interval_seconds, bool fresh,
             Observer& observer);

  bool load(const core::UnitId& unit, const Read& read) override;
  bool save(const core::UnitId& unit, const Write& write) override;
  void drop(const core::UnitId& unit) override;
  double interval_seconds() const override { return interval_seconds_; }

 private:
  std::string path(const core::UnitId& unit) const;

  std::string folder_;
  double interval_seconds_;
  Observer& observer_;
  bool usable_;
  bool told_ = false;  ///< that something could not be kept
};

/// Removes what the cache has of a stage. Failures are left to the next attempt.
void discard_cache(const RunDirectory& directory, const std::string& stage);

/// Of all units of a stage together.
std::int64_t cache_bytes(const RunDirectory& directory, const std::string& stage);

/// A unit as `phase0 inspect` lists it.
struct CachedUnit {
  std::string stage, name, key;
  std::int64_t bytes = 0;
  bool damaged = false;  ///< then the name is the file's
};
/// By stage, then by name.
std::vector<CachedUnit> list_cache(const RunDirectory& directory);

}  // namespace phase0::run
