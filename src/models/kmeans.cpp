#include "models/kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "core/check.h"
#include "models/kmeans_data.h"
#include "models/kmeans_lloyd.h"
#include "models/kmeans_progress.h"
#include "models/kmeans_refine.h"
#include "models/kmeans_rows.h"

namespace phase0::models {
namespace {

/// Iterations after seeding in which centroids still move far.
constexpr std::int64_t kFarIterations = 3;

bool better(const LloydRun& a, const LloydRun& b) {
  return a.inertia != b.inertia ? a.inertia < b.inertia : a.restart < b.restart;
}

/// Runs `count` restarts at their start centroids.
std::vector<LloydRun> seeded_runs(const KMeansData& data, const KMeansTask& task, std::int64_t first,
                                  std::int64_t count, core::Execution& execution) {
  const std::vector<float> start =
      seed_kmeans(data, task.k, first, count, task.seed, task.scratch_folder, execution, task.label);
  std::vector<LloydRun> runs(static_cast<std::size_t>(count));
  const std::int64_t size = task.k * data.rows.frame_dim();
  for (std::int64_t r = 0; r < count; ++r) {
    LloydRun& run = runs[static_cast<std::size_t>(r)];
    run.restart = first + r;
    run.centroids.assign(start.begin() + r * size, start.begin() + (r + 1) * size);
  }
  return runs;
}

/// Runs all restarts, as many at a time as the budget allows. `progress` has the one or, to be refined, few
/// with the least inertia afterwards, best first.
void run_restarts(const KMeansData& data, const KMeansTask& task, const KMeansScheme& scheme,
                  std::int64_t together, core::Execution& execution, KMeansProgress& progress) {
  const auto n_best = static_cast<std::size_t>(std::max<std::int64_t>(scheme.refined_runs, 1));
  const LloydTask lloyd{.k = task.k,
                        .options = task.options,
                        .phase = "restart",
                        .unbounded_iterations = kFarIterations,
                        .scratch_folder = task.scratch_folder,
                        .label = task.label + ": restarts",
                        .iterated = [&] { progress.save_when_due(); }};
  while (!progress.waiting.empty() || progress.next_restart < task.options.n_init) {
    if (progress.waiting.empty()) {
      const std::int64_t count = std::min(together, task.options.n_init - progress.next_restart);
      progress.waiting = seeded_runs(data, task, progress.next_restart, count, execution);
      progress.next_restart += count;
    }
    progress.begin_group(together);
    const LloydLane lane{data, progress.group};
    run_lloyd(data.rows, {&lane, 1}, lloyd, execution);
    for (auto& run : progress.group) {
      progress.history.insert(progress.history.end(), run.history.begin(), run.history.end());
      progress.done.push_back(std::move(run));
    }
    progress.group.clear();
    std::sort(progress.done.begin(), progress.done.end(), better);
    if (progress.done.size() > n_best) progress.done.resize(n_best);
  }
}

/// Of the rows that restarts see, where an earlier start has not come to their end.
void run_restarts(KMeansLane& lane, const KMeansPlan& plan, core::Execution& execution) {
  const KMeansTask& task = lane.fit.task;
  if (lane.progress.resumed) {
    execution.observer.log(LogLevel::kInfo, fmt::format("{}: k-means: goes on with {} runs under way",
                                                        task.label, lane.progress.waiting.size()));
  }
  if (lane.progress.step != KMeansProgress::Step::kRestarts) return;
  const KMeansScheme& scheme = plan.scheme;
  std::unique_ptr<data::FeatureSource> some;
  if (plan.restart_rows_kept) some = keep_rows(lane.rows(), scheme.restart_rows, task, execution);
  if (!some && scheme.gathered) some = gather_rows(lane.rows(), scheme.restart_rows, task, execution);
  run_restarts(prepare_kmeans(some ? *some : lane.fit.rows, execution, task.label), task, scheme,
               plan.restarts_together, execution, lane.progress);
}

KMeansModel finish(KMeansLane& lane, const KMeansPlan& plan) {
  KMeansProgress& progress = lane.progress;
  LloydRun& best = progress.done[static_cast<std::size_t>(progress.leader)];
  KMeansModel model;
  if (plan.scheme.sampled) model.sample_rows = plan.scheme.restart_rows;
  model.history = std::move(progress.history);
  for (auto& iteration : model.history) iteration.best = iteration.restart == best.restart;
  model.k = lane.fit.task.k;
  model.d = lane.fit.rows.frame_dim();
  model.centroids = std::move(best.centroids);
  model.counts = std::move(best.counts);
  model.inertia = best.inertia;
  model.n_iter = best.n_iter;
  model.n_used = lane.fit.rows.n_rows();
  progress.drop();
  return model;
}

/// The shapes of the first fits' rows joined, from that of one to that of all.
std::vector<data::SourceShape> joined_shapes(std::span<const KMeansFit> fits, const JoinRows& join) {
  std::vector<data::SourceShape> shapes = {fits[0].rows.shape()};
  std::vector<std::int64_t> joined = {0};
  while (join && std::ssize(joined) < std::ssize(fits)) {
    joined.push_back(std::ssize(joined));
    shapes.push_back(join(joined)->shape());
  }
  return shapes;
}

void check(const KMeansFit& fit) {
  const KMeansTask& task = fit.task;
  PHASE0_CHECK(fit.rows.window() == 1 && task.options.n_init >= 1 && task.options.max_iter >= 1);
  if (task.k < 1 || fit.rows.n_rows() < task.k) {
    throw Error(ErrorKind::kData,
                fmt::format("{}: {} clusters need at least as many train rows, there are {}", task.label,
                            task.k, fit.rows.n_rows()));
  }
}

}  // namespace

const char* to_string(KMeansStop stop) {
  switch (stop) {
    case KMeansStop::kTol:
      return "tol";
    case KMeansStop::kNoChange:
      return "no_change";
    case KMeansStop::kMaxIter:
      return "max_iter";
    case KMeansStop::kBehind:
      return "behind";
  }
  return "";
}

std::vector<KMeansModel> fit_kmeans(std::span<const KMeansFit> fits, const JoinRows& join,
                                    const std::string& label, core::Execution& execution) {
  std::for_each(fits.begin(), fits.end(), check);
  const KMeansTask& task = fits[0].task;
  const KMeansPlan plan = plan_kmeans(joined_shapes(fits, join), task.k, task.options, execution.pool.size(),
                                      execution.memory.free_bytes());
  const core::Reservation others(execution.memory,
                                 kmeans_lanes_bytes(plan.fits_together, task.k, fits[0].rows.frame_dim()),
                                 "runs of other k-means");
  std::vector<KMeansModel> models;
  while (!fits.empty()) {
    const std::size_t n = std::min(fits.size(), static_cast<std::size_t>(plan.fits_together));
    std::deque<KMeansLane> lanes;  // which do not move
    for (const KMeansFit& fit : fits.first(n)) {
      lanes.emplace_back(fit, static_cast<std::int64_t>(models.size() + lanes.size()), plan, execution);
      run_restarts(lanes.back(), plan, execution);
    }
    if (plan.scheme.sampled) refine_kmeans(lanes, join, label, plan, execution);
    for (KMeansLane& lane : lanes) models.push_back(finish(lane, plan));
    fits = fits.subspan(n);
  }
  return models;
}

KMeansModel fit_kmeans(const data::FeatureSource& rows, const KMeansTask& task, core::Execution& execution) {
  const KMeansFit fit{rows, task};
  return std::move(fit_kmeans({&fit, 1}, {}, task.label, execution)[0]);
}

}  // namespace phase0::models
