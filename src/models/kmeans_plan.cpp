#include <algorithm>

#include "linalg/bounded_nearest.h"
#include "models/kmeans.h"
#include "models/kmeans_lloyd.h"
#include "models/kmeans_rows.h"
#include "models/moments.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kMinSampleRows = 16384;
/// Runs on a sample whose result is refined on all rows: the order by inertia on few rows is not that on all.
constexpr std::int64_t kRefinedRuns = 3;
static_assert(kRefinedRuns < kMostKeptRuns);
/// Copies of rows in memory are at most this large, so that memory grows with the rows no further.
constexpr std::int64_t kMostCopyBytes = std::int64_t{256} << 20;

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
struct StepPlan {
  std::int64_t together = 1;
  std::int64_t planned_bytes = 0;
};

StepPlan restarts_step(const data::SourceShape& rows, std::int64_t k, std::int64_t n_init, const Room& room) {
  const std::int64_t together = runs_in_lockstep(rows, k, n_init, room.threads, room.free_bytes);
  return {together, std::max({room.planned(moments_need(rows), rows),
                              room.planned(seeding_need(rows, k, together), rows),
                              room.planned(lloyd_need(rows, k, together), rows)})};
}

StepPlan refine_step(const data::SourceShape& rows, std::int64_t k, std::int64_t runs, const Room& room) {
  const std::int64_t together = lloyd_in_lockstep(rows, k, runs, room.threads, room.free_bytes);
  return {together, std::max(room.planned(moments_need(rows), rows),
                             room.planned(lloyd_need(rows, k, together), rows))};
}

/// One run at a time.
std::int64_t restarts_minimum(const data::SourceShape& rows, std::int64_t k) {
  return std::max({moments_need(rows).minimum_bytes(), seeding_need(rows, k, 1).minimum_bytes(),
                   lloyd_need(rows, k, 1).minimum_bytes()});
}

/// As many fits as have room for all their runs on all rows side by side, with working copies for every
/// worker: `step_of(rows, runs, room)` is what so many runs on several lanes take.
template <typename StepOf>
void join_fits(const std::vector<data::SourceShape>& lanes, std::int64_t k, std::int64_t runs_of_fit,
               Room room, const StepOf& step_of, KMeansPlan& plan) {
  const std::int64_t free_bytes = room.free_bytes;
  for (std::int64_t n = std::ssize(lanes); n > 1; --n) {
    const data::SourceShape& rows = lanes[static_cast<std::size_t>(n - 1)];
    const std::int64_t kept = kmeans_lanes_bytes(n, k, rows.frame_dim);
    room.free_bytes = free_bytes - kept;
    if (plan.planned_bytes > room.free_bytes) continue;
    const StepPlan step = step_of(rows, n * runs_of_fit, room);
    if (step.together < n * runs_of_fit) continue;
    plan.fits_together = n;
    plan.planned_bytes = kept + std::max(plan.planned_bytes, step.planned_bytes);
    return;
  }
}

}  // namespace

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

std::int64_t kmeans_lanes_bytes(std::int64_t fits, std::int64_t k, std::int64_t d) {
  return (fits - 1) * kMostKeptRuns * k * d * 4;
}

std::int64_t kmeans_scratch_bytes(const data::SourceShape& rows, std::int64_t k, const KMeansOptions& options,
                                  std::int64_t fits) {
  const KMeansScheme scheme = kmeans_scheme(rows, k, options);
  const std::int64_t restarts = scheme.restart_rows * options.n_init * (scheme.sampled ? 1 : fits);
  const std::int64_t distances = 4 * restarts;
  const std::int64_t bounds = linalg::BoundedNearest::bounds_bytes(rows.frame_dim) *
                              std::max(restarts, fits * rows.n_rows * scheme.refined_runs);
  return (scheme.gathered ? 4 * scheme.restart_rows * rows.frame_dim : 0) + std::max(distances, bounds);
}

KMeansPlan plan_kmeans(const std::vector<data::SourceShape>& lanes, std::int64_t k,
                       const KMeansOptions& options, int threads, std::int64_t free_bytes) {
  const data::SourceShape& rows = lanes[0];
  KMeansPlan plan;
  const KMeansScheme& scheme = plan.scheme = kmeans_scheme(rows, k, options);
  const Room room{threads, free_bytes};
  const data::SourceShape restart_copy = data::matrix_shape(scheme.restart_rows, rows.frame_dim);
  const data::SourceShape copy = data::matrix_shape(rows.n_rows, rows.frame_dim);
  const std::int64_t restart_copy_bytes = kept_bytes(restart_copy);
  const std::int64_t restart_copying = room.planned(copying_need(rows, restart_copy.n_rows), rows);

  StepPlan restarts = restarts_step(restart_copy, k, options.n_init, room);
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
    plan.minimum_bytes =
        std::max(plan.minimum_bytes, copying_need(rows, restart_copy.n_rows).minimum_bytes());
  }
  if (!scheme.sampled) {
    if (scheme.gathered || plan.restart_rows_kept) return plan;
    join_fits(
        lanes, k, options.n_init, room,
        [k](const data::SourceShape& joined, std::int64_t runs, const Room& left) {
          return restarts_step(joined, k, runs, left);
        },
        plan);
    plan.restarts_share_scans = plan.fits_together > 1;
    if (plan.restarts_share_scans) plan.restarts_together = options.n_init;
    return plan;
  }

  StepPlan refined = refine_step(copy, k, scheme.refined_runs, room);
  const std::int64_t copying = room.planned(copying_need(rows, rows.n_rows), rows);
  const std::int64_t with_copy =
      kept_bytes(copy) + std::max({refined.planned_bytes, restarts.planned_bytes, copying});
  plan.rows_kept = plan.restart_rows_kept && refined.together == scheme.refined_runs &&
                   kept_bytes(copy) <= kMostCopyBytes && with_copy <= free_bytes;
  if (plan.rows_kept) {
    plan.planned_bytes = with_copy;
  } else {
    refined = refine_step(rows, k, scheme.refined_runs, room);
    plan.planned_bytes = std::max(plan.planned_bytes, refined.planned_bytes);
  }
  plan.refined_together = refined.together;
  plan.minimum_bytes = std::max(
      {plan.minimum_bytes, moments_need(rows).minimum_bytes(), lloyd_need(rows, k, 1).minimum_bytes()});
  if (plan.rows_kept) return plan;
  join_fits(
      lanes, k, scheme.refined_runs, room,
      [k](const data::SourceShape& joined, std::int64_t runs, const Room& left) {
        return refine_step(joined, k, runs, left);
      },
      plan);
  if (plan.fits_together > 1) plan.refined_together = scheme.refined_runs;
  return plan;
}

}  // namespace phase0::models
