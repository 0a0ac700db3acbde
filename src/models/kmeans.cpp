#include "models/kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>

#include "core/check.h"
#include "core/checked.h"
#include "core/random.h"
#include "data/scan.h"
#include "linalg/bounded_nearest.h"
#include "models/kmeans_data.h"
#include "models/kmeans_lloyd.h"
#include "models/kmeans_progress.h"
#include "models/moments.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kMinSampleRows = 16384;
/// Runs on a sample whose result is refined on all rows: the order by inertia on few rows is not that on all.
constexpr std::int64_t kRefinedRuns = 3;
static_assert(kRefinedRuns < kMostKeptRuns);
/// Copies of rows in memory are at most this large, so that memory does not grow with the rows.
constexpr std::int64_t kMostCopyBytes = std::int64_t{256} << 20;
/// Iterations after seeding in which centroids still move far.
constexpr std::int64_t kFarIterations = 3;

/// `size` of n rows without replacement, ascending (selection sampling: Knuth, TAOCP 2, 3.4.2, algorithm S).
std::vector<std::int64_t> sample_rows(std::int64_t n, std::int64_t size, std::uint64_t seed) {
  core::Random random(core::derive_seed(seed, "k-means sample"));
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(size));
  for (std::int64_t row = 0; std::ssize(rows) < size; ++row) {
    if (static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n - row))) <
        size - std::ssize(rows)) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// Memory of gather, that of a copy in memory apart.
core::ScanNeed gather_need(const data::SourceShape& rows, std::int64_t sample_rows) {
  core::ScanNeed need = data::scan_need(rows);
  need.fixed_bytes += 8 * sample_rows;
  need.worker_bytes += std::min(rows.block_rows, rows.n_rows) * rows.frame_dim * 4;  // written pages
  return need;
}

/// Calls `written(first, n)` for every piece of the matrix `out` [chosen, d] that was filled, in one scan.
template <typename Written>
void copy_rows(const data::FeatureSource& source, const std::vector<std::int64_t>& chosen,
               const KMeansTask& task, core::Execution& execution, float* out, const Written& written) {
  const std::int64_t d = source.frame_dim();
  const data::SourceShape shape = source.shape();
  data::ScanRoom room(execution, gather_need(shape, std::ssize(chosen)), "k-means sample", shape);
  data::scan(source, room, task.label + ": copying rows",
             [&](std::int64_t, std::int64_t, int, const data::FeatureBlock& block) {
               const auto first = std::lower_bound(chosen.begin(), chosen.end(), block.first_row);
               auto row = first;
               for (; row != chosen.end() && *row < block.first_row + block.n_rows; ++row) {
                 std::memcpy(out + (row - chosen.begin()) * d, block.matrix() + (*row - block.first_row) * d,
                             static_cast<std::size_t>(d) * sizeof(float));
               }
               written(first - chosen.begin(), row - first);
             });
}

std::int64_t copy_bytes(const data::SourceShape& rows) {
  return core::checked_mul(core::checked_mul(rows.n_rows, rows.frame_dim), std::int64_t{sizeof(float)});
}

/// A copy in memory of `n` rows (a seeded sample, or all); none when memory runs out all the same.
std::unique_ptr<data::FeatureSource> keep(const data::FeatureSource& source, std::int64_t n,
                                          const KMeansTask& task, core::Execution& execution) {
  const std::int64_t d = source.frame_dim();
  core::Reservation reserved(execution.memory, copy_bytes(data::matrix_shape(n, d)), "rows of k-means");
  core::AlignedBuffer<float> rows;
  try {
    rows.resize(n * d);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  copy_rows(source, sample_rows(source.n_rows(), n, task.seed), task, execution, rows.data(),
            [](std::int64_t, std::int64_t) {});
  return data::memory_source(std::move(rows), d, std::move(reserved));
}

/// The same in a scratch file.
std::unique_ptr<data::FeatureSource> gather(const data::FeatureSource& source, std::int64_t n,
                                            const KMeansTask& task, core::Execution& execution) {
  store::MappedDataset rows =
      store::scratch_matrix(task.scratch_folder, store::ElementType::kFloat32, n, source.frame_dim());
  // The pages stay in the page cache; here they would count as the process's own.
  copy_rows(source, sample_rows(source.n_rows(), n, task.seed), task, execution, rows.mutable_data<float>(),
            [&](std::int64_t first, std::int64_t count) { rows.release(first, count); });
  return data::matrix_source(std::move(rows));
}

/// What there is to work with.
struct Room {
  int threads = 1;
  std::int64_t free_bytes = 0;

  std::int64_t planned(const core::ScanNeed& need, const data::SourceShape& rows) const {
    return core::planned_bytes(need, rows.n_blocks(), threads, free_bytes);
  }
};

/// Runs that share scans: as many as leave every worker its working copies, at least one.
std::int64_t lloyd_in_lockstep(const data::SourceShape& rows, std::int64_t k, std::int64_t runs, int threads,
                               std::int64_t free_bytes) {
  const auto workers = static_cast<int>(std::min<std::int64_t>(threads, rows.n_blocks()));
  while (runs > 1 && lloyd_need(rows, k, runs).bytes(workers, workers) > free_bytes) --runs;
  return runs;
}

/// The same for runs that are seeded first.
std::int64_t runs_in_lockstep(const data::SourceShape& rows, std::int64_t k, std::int64_t runs, int threads,
                              std::int64_t free_bytes) {
  runs = lloyd_in_lockstep(rows, k, runs, threads, free_bytes);
  const auto workers = static_cast<int>(std::min<std::int64_t>(threads, rows.n_blocks()));
  while (runs > 1 && seeding_need(rows, k, runs).bytes(workers, workers) > free_bytes) --runs;
  return runs;
}

/// A part of a fit: runs that share its scans, and its memory.
struct Step {
  std::int64_t together = 1;
  std::int64_t planned_bytes = 0;
};

Step restarts_step(const data::SourceShape& rows, std::int64_t k, std::int64_t n_init, const Room& room) {
  const std::int64_t together = runs_in_lockstep(rows, k, n_init, room.threads, room.free_bytes);
  return {together, std::max({room.planned(moments_need(rows), rows),
                              room.planned(seeding_need(rows, k, together), rows),
                              room.planned(lloyd_need(rows, k, together), rows)})};
}

Step refine_step(const data::SourceShape& rows, std::int64_t k, std::int64_t runs, const Room& room) {
  const std::int64_t together = lloyd_in_lockstep(rows, k, runs, room.threads, room.free_bytes);
  return {together, std::max(room.planned(moments_need(rows), rows),
                             room.planned(lloyd_need(rows, k, together), rows))};
}

/// One run at a time.
std::int64_t restarts_minimum(const data::SourceShape& rows, std::int64_t k) {
  return std::max({moments_need(rows).minimum_bytes(), seeding_need(rows, k, 1).minimum_bytes(),
                   lloyd_need(rows, k, 1).minimum_bytes()});
}

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

std::int64_t kmeans_sample_size(std::int64_t k) {
  return std::max(kMinSampleRows, 128 * k);
}

KMeansScheme kmeans_scheme(const data::SourceShape& rows, std::int64_t k, const KMeansOptions& options) {
  const std::int64_t size = kmeans_sample_size(k);
  KMeansScheme scheme;
  scheme.sampled = options.restarts_on == RestartsOn::kSample
                       ? rows.n_rows > size
                       : options.restarts_on == RestartsOn::kAuto && rows.n_rows > 2 * size;
  scheme.restart_rows = scheme.sampled ? size : rows.n_rows;
  // A restart scans its rows hundreds of times: few of them are worth a copy when each scan computes them.
  scheme.gathered = scheme.sampled || (rows.computed && rows.n_rows <= 4 * size);
  scheme.refined_runs = scheme.sampled ? std::min(kRefinedRuns, options.n_init) : 0;
  return scheme;
}

std::int64_t kmeans_scratch_bytes(const data::SourceShape& rows, std::int64_t k,
                                  const KMeansOptions& options) {
  const KMeansScheme scheme = kmeans_scheme(rows, k, options);
  const std::int64_t distances = 4 * scheme.restart_rows * options.n_init;
  const std::int64_t bounds =
      linalg::BoundedNearest::bounds_bytes(rows.frame_dim) *
      std::max(scheme.restart_rows * options.n_init, rows.n_rows * scheme.refined_runs);
  return (scheme.gathered ? 4 * scheme.restart_rows * rows.frame_dim : 0) + std::max(distances, bounds);
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
      plan.rows_kept ? keep(rows, rows.n_rows(), task, execution) : nullptr;
  const data::FeatureSource& refined_on = all ? *all : rows;
  KMeansProgress progress(execution.units, task.progress, plan.restarts_together,
                          {task.k, rows.frame_dim(), task.options.n_init});
  if (progress.resumed) {
    execution.observer.log(LogLevel::kInfo, fmt::format("{}: k-means: goes on with {} runs under way",
                                                        task.label, progress.waiting.size()));
  }
  if (progress.step == KMeansProgress::Step::kRestarts) {
    std::unique_ptr<data::FeatureSource> some;
    if (plan.restart_rows_kept) some = keep(refined_on, scheme.restart_rows, task, execution);
    if (!some && scheme.gathered) some = gather(refined_on, scheme.restart_rows, task, execution);
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

KMeansPlan plan_kmeans(const data::SourceShape& rows, std::int64_t k, const KMeansOptions& options,
                       int threads, std::int64_t free_bytes) {
  KMeansPlan plan;
  const KMeansScheme& scheme = plan.scheme = kmeans_scheme(rows, k, options);
  const Room room{threads, free_bytes};
  const data::SourceShape restart_copy = data::matrix_shape(scheme.restart_rows, rows.frame_dim);
  const data::SourceShape copy = data::matrix_shape(rows.n_rows, rows.frame_dim);
  const std::int64_t restart_copy_bytes = copy_bytes(restart_copy);
  const std::int64_t restart_copying = room.planned(gather_need(rows, restart_copy.n_rows), rows);

  Step restarts = restarts_step(restart_copy, k, options.n_init, room);
  plan.restart_rows_kept =
      restarts.together == options.n_init && restart_copy_bytes <= kMostCopyBytes &&
      restart_copy_bytes + std::max(restarts.planned_bytes, restart_copying) <= free_bytes;
  if (plan.restart_rows_kept) {
    restarts.planned_bytes = restart_copy_bytes + std::max(restarts.planned_bytes, restart_copying);
  } else {
    restarts = restarts_step(scheme.gathered ? restart_copy : rows, k, options.n_init, room);
    if (scheme.gathered) restarts.planned_bytes = std::max(restarts.planned_bytes, restart_copying);
  }
  plan.restarts_together = restarts.together;
  plan.planned_bytes = restarts.planned_bytes;
  plan.minimum_bytes = restarts_minimum(scheme.gathered ? restart_copy : rows, k);
  if (scheme.gathered) {
    plan.minimum_bytes = std::max(plan.minimum_bytes, gather_need(rows, restart_copy.n_rows).minimum_bytes());
  }
  if (!scheme.sampled) return plan;

  Step refined = refine_step(copy, k, scheme.refined_runs, room);
  const std::int64_t copying = room.planned(gather_need(rows, rows.n_rows), rows);
  const std::int64_t kept_bytes =
      copy_bytes(copy) + std::max({refined.planned_bytes, restarts.planned_bytes, copying});
  plan.rows_kept = plan.restart_rows_kept && refined.together == scheme.refined_runs &&
                   copy_bytes(copy) <= kMostCopyBytes && kept_bytes <= free_bytes;
  if (plan.rows_kept) {
    plan.planned_bytes = kept_bytes;
  } else {
    refined = refine_step(rows, k, scheme.refined_runs, room);
    plan.planned_bytes = std::max(plan.planned_bytes, refined.planned_bytes);
  }
  plan.refined_together = refined.together;
  plan.minimum_bytes = std::max(
      {plan.minimum_bytes, moments_need(rows).minimum_bytes(), lloyd_need(rows, k, 1).minimum_bytes()});
  return plan;
}

}  // namespace phase0::models
