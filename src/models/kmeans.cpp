#include "models/kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "core/check.h"
#include "models/kmeans_lane.h"
#include "models/kmeans_rows.h"

namespace phase0::models {
namespace {

void prepare(KMeansLane& lane, const data::FeatureSource& rows, core::Execution& execution) {
  lane.data.reset();
  lane.data.emplace(prepare_kmeans(rows, execution, lane.fit.task.label));
}

/// The restarts of a fit that has rows of its own for them, or none to share scans with.
void run_restarts_alone(KMeansLane& lane, const KMeansTogether& together, core::Execution& execution) {
  const KMeansScheme& scheme = together.plan.scheme;
  const KMeansTask& task = lane.fit.task;
  std::unique_ptr<data::FeatureSource> some;
  if (together.plan.restart_rows_kept)
    some = keep_rows(lane.all_rows(), scheme.restart_rows, task, execution);
  store::MappedDataset gathered;
  if (!some && scheme.gathered) {
    gathered = gather_rows(lane.all_rows(), scheme.restart_rows, task, execution);
    some = data::matrix_source(gathered);
  }
  prepare(lane, some ? *some : lane.fit.rows, execution);
  run_restarts({&lane}, together, execution);
  gathered.check_write_back();
}

std::string under_way(const KMeansProgress& progress) {
  if (progress.seeding.empty()) return fmt::format("{} runs under way", progress.waiting.size());
  return fmt::format("the seeding of {} runs behind at most {} centroids", progress.seeding.size(),
                     progress.seeding[0].size());
}

/// All restarts of the lanes that an earlier start has not brought to their end.
void run_all_restarts(const KMeansLanes& lanes, const KMeansTogether& together, core::Execution& execution) {
  KMeansLanes going;
  for (KMeansLane* lane : lanes) {
    if (lane->progress.resumed) {
      execution.observer.log(LogLevel::kInfo, fmt::format("{}: k-means: goes on with {}",
                                                          lane->fit.task.label, under_way(lane->progress)));
    }
    if (lane->progress.step == KMeansProgress::Step::kRestarts) going.push_back(lane);
  }
  if (!together.plan.restarts_share_scans) {
    for (KMeansLane* lane : going) run_restarts_alone(*lane, together, execution);
  } else if (!going.empty()) {
    for (KMeansLane* lane : going) prepare(*lane, lane->fit.rows, execution);
    run_restarts(going, together, execution);
  }
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
  return model;
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
    case KMeansStop::kRefined:
      return "refined";
  }
  return "";
}

void fit_kmeans(std::span<const KMeansFit> fits, const KMeansJoin& join, core::Execution& execution,
                const std::function<void(std::int64_t number, KMeansModel model)>& fitted) {
  std::for_each(fits.begin(), fits.end(), check);
  const KMeansTask& task = fits[0].task;
  const KMeansPlan plan =
      plan_kmeans(join.shapes, task.k, task.options, execution.pool.size(), execution.memory.free_bytes());
  const core::Reservation others(execution.memory,
                                 kmeans_lanes_bytes(plan.fits_together, task.k, fits[0].rows.frame_dim()),
                                 "runs of other k-means");
  for (std::size_t first = 0; first < fits.size();) {
    std::deque<KMeansLane> group;  // which do not move
    KMeansLanes lanes;
    for (; first < fits.size() && std::ssize(lanes) < plan.fits_together; ++first) {
      lanes.push_back(&group.emplace_back(fits[first], static_cast<std::int64_t>(first), plan, execution));
    }
    run_all_restarts(lanes, {plan, join}, execution);
    if (plan.scheme.sampled) {
      for (KMeansLane* lane : lanes) prepare(*lane, lane->all_rows(), execution);
      refine(lanes, {plan, join}, execution);
    }
    for (KMeansLane* lane : lanes) fitted(lane->number, finish(*lane, plan));
  }
}

KMeansModel fit_kmeans(const data::FeatureSource& rows, const KMeansTask& task, core::Execution& execution) {
  const KMeansFit fit{rows, task};
  KMeansModel model;
  fit_kmeans({&fit, 1}, {.shapes = {rows.shape()}, .rows = {}, .label = {}}, execution,
             [&](std::int64_t, KMeansModel fitted) { model = std::move(fitted); });
  return model;
}

}  // namespace phase0::models
