#include "models/kmeans_refine.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "models/kmeans_lloyd.h"
#include "models/kmeans_rows.h"

namespace phase0::models {
namespace {

using Step = KMeansProgress::Step;

/// Of runs after as many iterations the one with the least objective in the last, or in the end where one has
/// come to it. The others are behind.
std::int64_t leader_of(std::vector<LloydRun>& runs) {
  const auto objective = [](const LloydRun& run) {
    return run.ended() ? run.inertia : run.history.back().inertia;
  };
  const auto ahead = [&](const LloydRun& a, const LloydRun& b) {
    const double by = objective(a) - objective(b);
    return by != 0 ? by < 0 : a.restart < b.restart;
  };
  const auto leader = std::min_element(runs.begin(), runs.end(), ahead);
  for (LloydRun& run : runs) {
    if (&run != &*leader && !run.ended()) run.history.back().stopped = to_string(KMeansStop::kBehind);
  }
  return leader - runs.begin();
}

/// The best restarts go on on all rows, from their centroids.
void begin_race(KMeansProgress& progress) {
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

/// Iterates the groups of lanes in lockstep, for `pause_after` iterations of each run at most.
void iterate(const std::vector<KMeansLane*>& lanes, const JoinRows& join, const std::string& label,
             std::int64_t pause_after, core::Execution& execution) {
  const KMeansTask& first = lanes[0]->fit.task;
  const LloydTask task{.k = first.k,
                       .options = first.options,
                       .phase = "refine",
                       .pause_after = pause_after,
                       .scratch_folder = first.scratch_folder,
                       .label = (lanes.size() > 1 ? label : first.label) + ": refining on all rows",
                       .iterated = [&] {
                         for (KMeansLane* lane : lanes) lane->progress.save_when_due();
                       }};
  std::vector<LloydLane> runs;
  std::vector<std::int64_t> numbers;
  for (KMeansLane* lane : lanes) {
    runs.push_back({*lane->data, lane->progress.group});
    numbers.push_back(lane->number);
  }
  const std::unique_ptr<data::FeatureSource> joined = lanes.size() > 1 ? join(numbers) : nullptr;
  run_lloyd(joined ? *joined : lanes[0]->rows(), runs, task, execution);
}

/// All runs of all lanes that are not through the race, some of each lane at a time.
void race(std::deque<KMeansLane>& lanes, const JoinRows& join, const std::string& label,
          const KMeansPlan& plan, core::Execution& execution) {
  const std::int64_t pause_after = plan.scheme.refined_runs > 1 ? kRaceIterations : LloydTask{}.pause_after;
  while (true) {
    std::vector<KMeansLane*> racing;
    for (KMeansLane& lane : lanes) {
      if (lane.progress.step != Step::kRace) continue;
      lane.progress.begin_group(plan.refined_together);
      racing.push_back(&lane);
    }
    if (racing.empty()) return;
    iterate(racing, join, label, pause_after, execution);
    for (KMeansLane* lane : racing) {
      KMeansProgress& progress = lane->progress;
      std::move(progress.group.begin(), progress.group.end(), std::back_inserter(progress.done));
      progress.group.clear();
      if (progress.waiting.empty()) begin_last(progress);
    }
  }
}

}  // namespace

KMeansLane::KMeansLane(const KMeansFit& of, std::int64_t its_number, const KMeansPlan& plan,
                       core::Execution& execution)
    : fit(of),
      number(its_number),
      copy(plan.rows_kept ? keep_rows(of.rows, of.rows.n_rows(), of.task, execution) : nullptr),
      progress(execution.units, of.task.progress, plan.restarts_together,
               {of.task.k, of.rows.frame_dim(), of.task.options.n_init}) {}

void refine_kmeans(std::deque<KMeansLane>& lanes, const JoinRows& join, const std::string& label,
                   const KMeansPlan& plan, core::Execution& execution) {
  for (KMeansLane& lane : lanes) {
    lane.data.emplace(prepare_kmeans(lane.rows(), execution, lane.fit.task.label));
    if (lane.progress.step == Step::kRestarts) begin_race(lane.progress);
  }
  race(lanes, join, label, plan, execution);
  std::vector<KMeansLane*> going;
  for (KMeansLane& lane : lanes) {
    lane.progress.begin_group(1);
    if (!lane.progress.group[0].complete()) going.push_back(&lane);
  }
  if (!going.empty()) iterate(going, join, label, LloydTask{}.pause_after, execution);
  for (KMeansLane& lane : lanes) end_last(lane.progress);
}

}  // namespace phase0::models
