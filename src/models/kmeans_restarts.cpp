#include <algorithm>

#include "models/kmeans_lane.h"
#include "models/kmeans_lloyd.h"

namespace phase0::models {
namespace {

/// Iterations after seeding in which centroids still move far.
constexpr std::int64_t kFarIterations = 3;

bool better(const LloydRun& a, const LloydRun& b) {
  return a.objective() != b.objective() ? a.objective() < b.objective() : a.restart < b.restart;
}

/// Begins the next restarts of those lanes of which none waits: they wait at their start centroids.
void begin_restarts(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution) {
  KMeansLanes begun;
  std::vector<SeedingLane> seeding;
  for (KMeansLane* lane : lanes) {
    KMeansProgress& progress = lane->progress;
    const std::int64_t left = lane->fit.task.options.n_init - progress.next_restart;
    if (!progress.waiting.empty() || left == 0) continue;
    begun.push_back(lane);
    const std::int64_t most = std::min(together.plan.restarts_together, left);
    const std::int64_t kept = std::ssize(progress.seeding);
    progress.seeding.resize(static_cast<std::size_t>(kept > 0 ? std::min(kept, most) : most));
    seeding.push_back({*lane->data, lane->fit.task.seed, progress.next_restart, progress.seeding});
  }
  if (begun.empty()) return;
  const KMeansTask& task = begun[0]->fit.task;
  const JoinedLanes joined(begun, together.join);
  const std::vector<float> start =
      seed_kmeans(joined.rows(), seeding, task.k, task.scratch_folder, execution, joined.label(), [&] {
        for (KMeansLane* lane : begun) lane->progress.save_when_due();
      });
  const std::int64_t size = task.k * joined.rows().frame_dim();
  auto centroids = start.begin();
  for (std::size_t i = 0; i < begun.size(); ++i) {
    KMeansProgress& progress = begun[i]->progress;
    for (std::size_t r = 0; r < progress.seeding.size(); ++r, centroids += size) {
      LloydRun& run = progress.waiting.emplace_back();
      run.restart = progress.next_restart++;
      run.centroids.assign(centroids, centroids + size);
    }
    progress.seeding.clear();
  }
}

/// The restarts of the group have ended or pause: the best of all go on.
void end_group(KMeansProgress& progress, std::size_t n_best) {
  for (LloydRun& run : progress.group) {
    progress.history.insert(progress.history.end(), run.history.begin(), run.history.end());
    progress.done.push_back(std::move(run));
  }
  progress.group.clear();
  std::sort(progress.done.begin(), progress.done.end(), better);
  if (progress.done.size() > n_best) progress.done.resize(n_best);
}

}  // namespace

void run_restarts(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution) {
  const auto n_best = static_cast<std::size_t>(std::max<std::int64_t>(together.plan.scheme.refined_runs, 1));
  while (true) {
    begin_restarts(lanes, together, execution);
    KMeansLanes going;
    for (KMeansLane* lane : lanes) {
      if (lane->progress.waiting.empty()) continue;
      lane->progress.begin_group(together.plan.restarts_together);
      going.push_back(lane);
    }
    if (going.empty()) return;
    LloydTask task{.phase = "restart", .unbounded_iterations = kFarIterations};
    if (together.plan.scheme.sampled) task.pause_after = kSampleIterations;
    iterate(going, task, "restarts", together, execution);
    for (KMeansLane* lane : going) end_group(lane->progress, n_best);
  }
}

}  // namespace phase0::models
