#include "models/kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "core/check.h"
#include "models/kmeans_data.h"
#include "models/kmeans_lloyd.h"
#include "models/kmeans_progress.h"
#include "models/kmeans_rows.h"

namespace phase0::models {
namespace {

/// Iterations after seeding in which centroids still move far.
constexpr std::int64_t kFarIterations = 3;

bool better(const LloydRun& a, const LloydRun& b) {
  return a.inertia != b.inertia ? a.inertia < b.inertia : a.restart < b.restart;
}

void mark_best(std::vector<KMeansIteration>& history, std::int64_t restart) {
  for (auto& iteration : history) iteration.best = iteration.restart == restart;
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
    run_lloyd(data, lloyd, progress.group, execution);
    for (auto& run : progress.group) {
      progress.history.insert(progress.history.end(), run.history.begin(), run.history.end());
      progress.done.push_back(std::move(run));
    }
    progress.group.clear();
    std::sort(progress.done.begin(), progress.done.end(), better);
    if (progress.done.size() > n_best) progress.done.resize(n_best);
  }
}

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
  progress.step = KMeansProgress::Step::kRace;
}

/// Continues the best restarts on all rows: all of them for some iterations, then the one that leads to its
/// end. Its number in `progress.done`.
std::size_t refine(const KMeansData& data, const KMeansTask& task, std::int64_t together,
                   core::Execution& execution, KMeansProgress& progress) {
  using Step = KMeansProgress::Step;
  if (progress.step == Step::kRestarts) begin_race(progress);
  const LloydTask to_the_end{.k = task.k,
                             .options = task.options,
                             .phase = "refine",
                             .scratch_folder = task.scratch_folder,
                             .label = task.label + ": refining on all rows",
                             .iterated = [&] { progress.save_when_due(); }};
  if (progress.step == Step::kRace) {
    LloydTask race = to_the_end;
    if (progress.waiting.size() + progress.done.size() > 1) race.pause_after = kRaceIterations;
    while (!progress.waiting.empty()) {
      progress.begin_group(together);
      run_lloyd(data, race, progress.group, execution);
      std::move(progress.group.begin(), progress.group.end(), std::back_inserter(progress.done));
      progress.group.clear();
    }
    progress.leader = leader_of(progress.done);
    progress.step = Step::kLast;
    progress.waiting.push_back(std::move(progress.done[static_cast<std::size_t>(progress.leader)]));
  }
  progress.begin_group(1);
  if (!progress.group[0].complete()) run_lloyd(data, to_the_end, progress.group, execution);
  const auto leader = static_cast<std::size_t>(progress.leader);
  progress.done[leader] = std::move(progress.group[0]);
  for (const LloydRun& run : progress.done) {
    progress.history.insert(progress.history.end(), run.history.begin(), run.history.end());
  }
  return leader;
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

KMeansModel fit_kmeans(const data::FeatureSource& rows, const KMeansTask& task, core::Execution& execution) {
  PHASE0_CHECK(rows.window() == 1 && task.options.n_init >= 1 && task.options.max_iter >= 1);
  if (task.k < 1 || rows.n_rows() < task.k) {
    throw Error(ErrorKind::kData,
                fmt::format("{}: {} clusters need at least as many train rows, there are {}", task.label,
                            task.k, rows.n_rows()));
  }
  const KMeansPlan plan =
      plan_kmeans(rows.shape(), task.k, task.options, execution.pool.size(), execution.memory.free_bytes());
  const KMeansScheme& scheme = plan.scheme;
  const std::unique_ptr<data::FeatureSource> all =
      plan.rows_kept ? keep_rows(rows, rows.n_rows(), task, execution) : nullptr;
  const data::FeatureSource& refined_on = all ? *all : rows;
  KMeansProgress progress(execution.units, task.progress, plan.restarts_together,
                          {task.k, rows.frame_dim(), task.options.n_init});
  if (progress.resumed) {
    execution.observer.log(LogLevel::kInfo, fmt::format("{}: k-means: goes on with {} runs under way",
                                                        task.label, progress.waiting.size()));
  }
  if (progress.step == KMeansProgress::Step::kRestarts) {
    std::unique_ptr<data::FeatureSource> some;
    if (plan.restart_rows_kept) some = keep_rows(refined_on, scheme.restart_rows, task, execution);
    if (!some && scheme.gathered) some = gather_rows(refined_on, scheme.restart_rows, task, execution);
    run_restarts(prepare_kmeans(some ? *some : rows, execution, task.label), task, scheme,
                 plan.restarts_together, execution, progress);
  }
  std::size_t winner = 0;
  KMeansModel model;
  if (scheme.sampled) {
    model.sample_rows = scheme.restart_rows;
    winner = refine(prepare_kmeans(refined_on, execution, task.label), task, plan.refined_together, execution,
                    progress);
  }
  LloydRun& best = progress.done[winner];
  model.history = std::move(progress.history);
  mark_best(model.history, best.restart);
  model.k = task.k;
  model.d = rows.frame_dim();
  model.centroids = std::move(best.centroids);
  model.counts = std::move(best.counts);
  model.inertia = best.inertia;
  model.n_iter = best.n_iter;
  model.n_used = rows.n_rows();
  progress.drop();
  return model;
}

}  // namespace phase0::models
