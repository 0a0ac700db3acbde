#include <algorithm>

#include "core/checked.h"
#include "models/assign.h"
#include "models/moments.h"
#include "models/quartile.h"
#include "run/peak.h"
#include "run/plan_work.h"
#include "run/stage_plan.h"
#include "store/file_system.h"

namespace phase0::run {
namespace {

/// What fit holds from its start to its end.
std::int64_t held_bytes(const Session& session, const Workload& workload) {
  return index_bytes(workload) + models_bytes(session.options(), workload);
}

struct Passes {
  std::int64_t min = 0, max = 0;
};

/// Scans over all train rows of the k-means fits of `fits` lags, their assignment included. Looking for far
/// rows, when a cluster is empty, is on top.
Passes kmeans_passes(const KMeansOptions& options, std::int64_t k, const models::KMeansPlan& plan,
                     std::int64_t fits) {
  const std::int64_t lloyd_min = 2;  // the last pass is for the objective
  const std::int64_t lloyd_max = options.max_iter + 1;
  if (plan.reads_rows_once()) return {2 * fits, 2 * fits};  // copying, assignment
  // Moments, assignment, copying.
  const std::int64_t once = fits * (2 + (plan.scheme.gathered ? 1 : 0));
  if (plan.scheme.sampled) {
    const std::int64_t joined = core::ceil_div(fits, plan.fits_together);
    const std::int64_t groups = joined * core::ceil_div(plan.scheme.refined_runs, plan.refined_together);
    const std::int64_t raced = plan.scheme.refined_runs > 1 ? models::kRaceIterations : 0;
    if (raced == 0 || raced >= options.max_iter)
      return {once + groups * lloyd_min, once + groups * lloyd_max};
    return {once + groups * lloyd_min, once + groups * (raced + 1) + joined * (lloyd_max - raced)};
  }
  const std::int64_t groups =
      core::ceil_div(fits, plan.fits_together) * core::ceil_div(options.n_init, plan.restarts_together);
  const std::int64_t seeding = 2 * (k - 1);
  return {once + groups * (seeding + lloyd_min), once + groups * (seeding + lloyd_max)};
}

/// Of the widest group.
std::int64_t most_lags(const FitParts& parts) {
  std::int64_t most = 0;
  for (const LagGroup& group : parts.lag_groups) most = std::max<std::int64_t>(most, std::ssize(group));
  return most;
}

/// Memory of the PCA of a group of lags.
void add_pca(const FitParts& parts, const Workload& workload, Peak& peak) {
  const models::PcaPlan& fit = *parts.pca;
  const std::int64_t columns = core::checked_mul(most_lags(parts), *parts.pca_dims.rbegin());
  peak.consider(fit.method == PcaMethod::kCovariance ? "PCA covariance" : "PCA incremental SVD",
                core::planned_bytes(fit.need, workload.span.n_blocks(), peak.threads(), peak.free_bytes()),
                fit.minimum_bytes);
  peak.consider("PCA scores", models::pca_scores_need(workload.span, parts.window, columns),
                workload.span.n_blocks());
}

void add_condition(const Options& options, const Workload& workload, const ConditionOptions& condition,
                   const models::KMeansPlan& kmeans, Peak& peak) {
  const data::SourceShape rows = condition_rows(options, workload, condition);
  if (condition.type == ConditionType::kPcaQuartile) {
    peak.consider("quartile edges of " + condition.name, models::quartile_need(rows), rows.n_blocks());
    peak.consider("quartile ids of " + condition.name, models::assign_quartiles_need(rows), rows.n_blocks());
    return;
  }
  peak.consider("k-means of " + condition.name, kmeans.planned_bytes, kmeans.minimum_bytes);
  peak.consider("assignment of " + condition.name, models::assign_need(rows, condition.k), rows.n_blocks());
}

}  // namespace

data::SourceShape condition_rows(const Options& options, const Workload& workload,
                                 const ConditionOptions& condition) {
  data::SourceShape rows = condition.type == ConditionType::kMeanPoolVq
                               ? workload.mean
                               : data::matrix_shape(workload.n_train, condition.pca_dim);
  if (condition.type != ConditionType::kPcaQuartile &&
      options.clustering.holdout == HoldoutPolicy::kExclude) {
    rows.block_bytes += rows.block_rows * rows.frame_dim * 4;  // put together from ranges
  }
  return rows;
}

std::vector<data::SourceShape> condition_lanes(const Session& session, const Workload& workload,
                                               const ConditionOptions& condition) {
  std::vector<data::SourceShape> lanes = {condition_rows(session.options(), workload, condition)};
  // Where scratch files take memory, those of one lag at a time.
  const bool alone = store::lies_in_memory(session.directory().path);
  if (condition.type == ConditionType::kMeanPoolVq && !alone) {
    lanes.insert(lanes.end(), workload.joined_means.begin(), workload.joined_means.end());
  }
  return lanes;
}

FitParts fit_parts(const Session& session, const Workload& workload) {
  const Options& options = session.options();
  FitParts parts;
  const std::int64_t free_bytes = session.memory().bytes() - core::MemoryBudget::kBaseBytes -
                                  held_bytes(session, workload) - fit_files_in_memory(session, workload);
  for (const auto& condition : options.clustering.conditions) {
    if (condition.pca_dim > 0) parts.pca_dims.insert(condition.pca_dim);
    parts.kmeans.emplace_back();
    if (condition.type == ConditionType::kPcaQuartile) continue;
    parts.kmeans.back() = models::plan_kmeans(condition_lanes(session, workload, condition), condition.k,
                                              options.clustering.kmeans, session.threads(), free_bytes);
  }
  if (!parts.pca_dims.empty()) {
    parts.lag_groups = pca_lag_groups(options, workload.storage, workload.dim);
    const auto widest = std::max_element(
        parts.lag_groups.begin(), parts.lag_groups.end(), [&](const LagGroup& a, const LagGroup& b) {
          return span_of(a, options.context.window_size) < span_of(b, options.context.window_size);
        });
    const models::PcaTask task =
        pca_task(*widest, options, workload.storage, *parts.pca_dims.rbegin(), session.directory().path);
    parts.window = task.window;
    parts.pca =
        models::plan_pca(workload.span, task,
                         {session.threads(), free_bytes, store::lies_in_memory(session.directory().path)});
  }
  return parts;
}

StagePlan plan_fit(const Session& session, const Workload& workload) {
  const Options& options = session.options();
  const FitParts parts = fit_parts(session, workload);
  StagePlan plan;
  plan.stage = "fit";
  plan.rows = workload.n_train + workload.n_eval;
  plan.passes_min = plan.passes_max = 1;
  const std::int64_t left_bytes = fit_output_bytes(session, workload) + fit_kept_bytes(session, workload);
  plan.disk_bytes = left_bytes + fit_scratch_bytes(session, workload, parts.kmeans);
  Peak peak(session, held_bytes(session, workload), fit_files_in_memory(session, workload));
  peak.consider("normaliser", models::moments_need(workload.delta), workload.delta.n_blocks());
  for (std::size_t i = 0; i < parts.kmeans.size(); ++i) {
    const ConditionOptions& condition = options.clustering.conditions[i];
    add_condition(options, workload, condition, parts.kmeans[i], peak);
    if (condition.type != ConditionType::kMeanPoolVq) continue;
    const Passes passes = kmeans_passes(options.clustering.kmeans, condition.k, parts.kmeans[i],
                                        std::ssize(options.context.lags));
    plan.passes_min += passes.min;
    plan.passes_max += passes.max;
  }
  if (parts.pca) {
    add_pca(parts, workload, peak);
    const std::int64_t passes =
        std::ssize(parts.lag_groups) * (parts.pca->n_scans + std::ssize(parts.pca_dims));
    plan.passes_min += passes;
    plan.passes_max += passes;
    // The covariance's scratch file is gone before the scores are written.
    plan.disk_bytes = std::max(plan.disk_bytes, left_bytes + parts.pca->scratch_bytes);
  }
  peak.fill(plan);
  set_traffic(fit_work(session, workload), plan);
  return plan;
}

}  // namespace phase0::run
