#include <algorithm>
#include <iterator>
#include <vector>

#include "models/kmeans_lane.h"
#include "models/kmeans_lloyd.h"

namespace phase0::models {
namespace {

using Step = KMeansProgress::Step;
constexpr const char* kPhase = "refine";
constexpr const char* kDoing = "refining on all rows";

/// Of runs after as many iterations the one with the least objective in the last, or in the end where one has
/// come to it. The others are behind.
std::int64_t leader_of(std::vector<LloydRun>& runs) {
  const auto ahead = [](const LloydRun& a, const LloydRun& b) {
    const double by = a.objective() - b.objective();
    return by != 0 ? by < 0 : a.restart < b.restart;
  };
  const auto leader = std::min_element(runs.begin(), runs.end(), ahead);
  for (LloydRun& run : runs) {
    if (&run != &*leader && !run.ended()) run.history.back().stopped = to_string(KMeansStop::kBehind);
  }
  return leader - runs.begin();
}

/// Says in the history what becomes of the restarts that have not come to an end on the sample.
void end_restarts(KMeansProgress& progress) {
  std::vector<KMeansIteration>& history = progress.history;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const std::int64_t restart = history[i].restart;
    const bool last = i + 1 == history.size() || history[i + 1].restart != restart;
    if (!last || !history[i].stopped.empty()) continue;
    const bool goes_on = std::any_of(progress.done.begin(), progress.done.end(),
                                     [&](const LloydRun& run) { return run.restart == restart; });
    history[i].stopped = to_string(goes_on ? KMeansStop::kRefined : KMeansStop::kBehind);
  }
}

/// The best restarts go on on all rows, from their centroids.
void begin_race(KMeansProgress& progress) {
  end_restarts(progress);
  for (LloydRun& run : progress.done) {
    LloydRun& start = progress.waiting.emplace_back();
    start.restart = run.restart;
    start.centroids = std::move(run.centroids);
  }
  progress.done.clear();
  progress.step = Step::kRace;
}

/// Behind the race the leader goes on alone.
void begin_last(KMeansProgress& progress) {
  progress.leader = leader_of(progress.done);
  progress.step = Step::kLast;
  progress.waiting.push_back(std::move(progress.done[static_cast<std::size_t>(progress.leader)]));
}

/// The leader takes its place among those it has left behind.
void end_last(KMeansProgress& progress) {
  progress.done[static_cast<std::size_t>(progress.leader)] = std::move(progress.group[0]);
  progress.group.clear();
  for (const LloydRun& run : progress.done) {
    progress.history.insert(progress.history.end(), run.history.begin(), run.history.end());
  }
}

/// All runs of all lanes that are not through the race, some of each lane at a time.
void race(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution) {
  LloydTask task{.phase = kPhase};
  if (together.plan.scheme.refined_runs > 1) task.pause_after = kRaceIterations;
  while (true) {
    KMeansLanes racing;
    for (KMeansLane* lane : lanes) {
      if (lane->progress.step != Step::kRace) continue;
      lane->progress.begin_group(together.plan.refined_together);
      racing.push_back(lane);
    }
    if (racing.empty()) return;
    iterate(racing, task, kDoing, together, execution);
    for (KMeansLane* lane : racing) {
      KMeansProgress& progress = lane->progress;
      std::move(progress.group.begin(), progress.group.end(), std::back_inserter(progress.done));
      progress.group.clear();
      if (progress.waiting.empty()) begin_last(progress);
    }
  }
}

}  // namespace

void refine(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution) {
  for (KMeansLane* lane : lanes) {
    if (lane->progress.step == Step::kRestarts) begin_race(lane->progress);
  }
  race(lanes, together, execution);
  KMeansLanes going;
  for (KMeansLane* lane : lanes) {
    lane->progress.begin_group(1);
    if (!lane->progress.group[0].complete()) going.push_back(lane);
  }
  if (!going.empty()) iterate(going, {.phase = kPhase}, kDoing, together, execution);
  for (KMeansLane* lane : lanes) end_last(lane->progress);
}

}  // namespace phase0::models
