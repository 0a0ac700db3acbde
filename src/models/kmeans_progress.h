#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/unit_store.h"
#include "models/kmeans_data.h"
#include "models/kmeans_lloyd.h"

namespace phase0::models {

/// What a fit is of.
struct KMeansShape {
  std::int64_t k = 0, d = 0, n_init = 0;
  bool sampled = true;  ///< restarts are on a sample, and the best of them race on all rows
};

/// How far a k-means fit has come, kept between iterations. All runs go by their own numbers alone, so those
/// of a group may go on in groups of any other size.
class KMeansProgress {
 public:
  enum class Step : std::int32_t {
    kRestarts,  ///< from their seeds
    kRace,      ///< the best of them on all rows
    kLast,      ///< the one that led the race, to its end
  };

  /// Goes on where an earlier start has kept it. `most_runs` are begun and wait at most: restarts beyond them
  /// are begun again. What is kept of a fit of another shape is not taken.
  KMeansProgress(core::UnitStore* store, core::UnitId unit, std::int64_t most_runs, const KMeansShape& shape);

  bool resumed = false;  ///< an earlier start has kept something
  Step step = Step::kRestarts;
  std::int64_t next_restart = 0;         ///< the first that is not begun
  std::vector<SeedingRun> seeding;       ///< from next_restart on, while they are seeded
  std::vector<LloydRun> group;           ///< that share scans now
  std::vector<LloydRun> waiting;         ///< begun, for a later group
  std::vector<LloydRun> done;            ///< the best restarts, or the runs of the race
  std::int64_t leader = 0;               ///< in `done`: where the one of kLast belongs
  std::vector<KMeansIteration> history;  ///< of restarts that have ended

  /// The next group of at most `together` of those that wait.
  void begin_group(std::int64_t together);
  void save_when_due();

 private:
  void save(core::ByteSink& sink) const;
  void load(core::ByteSource& source);

  core::Checkpoint checkpoint_;
  KMeansShape shape_;
};

}  // namespace phase0::models
