#pragma once

#include <cstdint>
#include <functional>
#include <limits>
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

  bool ended() const { return !history.empty() && !history.back().stopped.empty(); }
  /// Ended, and its counts and inertia are known.
  bool complete() const { return ended() && !counts.empty(); }
};

struct LloydTask {
  std::int64_t k = 0;
  KMeansOptions options;
  std::string phase;  ///< for the history
  /// Iterations that label every row afresh. After them bounds of its distances spare most rows the work,
  /// which pays once the centroids move little.
  std::int64_t unbounded_iterations = 0;
  /// Iterations of a run after which it pauses, with neither counts nor inertia, unless it ends before.
  std::int64_t pause_after = std::numeric_limits<std::int64_t>::max();
  std::string scratch_folder;           ///< for the bounds
  std::string label;                    ///< for the observer
  std::function<void()> iterated = {};  ///< called between iterations: the runs may be kept
};

/// Iterates all runs in lockstep, one scan per iteration for those still going, and one more scan per run for
/// the inertia of its result. Runs that have iterated before, paused or kept by an earlier start, go on where
/// they were, with the same bits.
void run_lloyd(const KMeansData& data, const LloydTask& task, std::vector<LloydRun>& runs,
               core::Execution& execution);

/// Runs that a caller may keep beside those that go: the best so far, or those still to be refined.
inline constexpr std::int64_t kMostKeptRuns = 4;
/// Memory of `runs` runs in lockstep, and of those kept.
core::ScanNeed lloyd_need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs);

}  // namespace phase0::models
