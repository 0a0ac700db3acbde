#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "models/kmeans.h"
#include "models/kmeans_data.h"

namespace phase0::models {

/// One run of Lloyd's iterations from given start centroids.
struct LloydRun {
  std::int64_t restart = 0;
  std::vector<float> centroids;      ///< [k, d]: start, then result
  std::vector<std::int64_t> counts;  ///< [k] of the result
  double inertia = 0;                ///< of the result, float64
  std::int64_t n_iter = 0;
  std::vector<KMeansIteration> history;

  /// The last that is known: of the result, or of the centroids before the last move.
  double objective() const { return ended() || history.empty() ? inertia : history.back().inertia; }
  bool ended() const { return !history.empty() && !history.back().stopped.empty(); }
  /// Ended, and its counts and inertia are known.
  bool complete() const { return ended() && !counts.empty(); }
};

struct LloydTask {
  std::int64_t k = 0;
  KMeansOptions options = {};
  std::string phase = {};  ///< for the history
  /// Iterations that label every row afresh. After them bounds of its distances spare most rows the work,
  /// which pays once the centroids move little.
  std::int64_t unbounded_iterations = 0;
  /// Iterations of a run after which it pauses, with neither counts nor inertia, unless it ends before.
  std::int64_t pause_after = std::numeric_limits<std::int64_t>::max();
  std::string scratch_folder = {};      ///< for the bounds
  std::string label = {};               ///< for the observer
  std::function<void()> iterated = {};  ///< called between iterations: the runs may be kept
};

/// The runs of a fit, on the rows of its lane.
struct LloydLane {
  const KMeansData& data;
  std::vector<LloydRun>& runs;
};

/// Iterates all runs of all lanes in lockstep, one scan of `rows` per iteration for those still going, and
/// one more scan per run for the inertia of its result. Lane i of `rows` has the rows of lanes[i].data. Runs
/// that have iterated before, paused or kept by an earlier start, go on where they were. A run's bits are the
/// same in whatever company it goes.
void run_lloyd(const data::FeatureSource& rows, std::span<const LloydLane> lanes, const LloydTask& task,
               core::Execution& execution);

/// Runs that the caller of a lane may keep beside those that go: the best so far, or those still to be
/// refined.
inline constexpr std::int64_t kMostKeptRuns = 4;
/// Memory of `runs` runs in lockstep, over all lanes of the rows, and of those kept beside one lane.
core::ScanNeed lloyd_need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs);

}  // namespace phase0::models
