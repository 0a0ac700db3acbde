#include "run/stage_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "analysis/analyze.h"
#include "core/checked.h"
#include "models/assign.h"
#include "models/kmeans.h"
#include "models/pca.h"
#include "models/quartile.h"

namespace phase0::run {
namespace {

using core::MemoryBudget;

/// Shapes of the train rows' sources for a storage.
void set_shapes(Workload& workload, const data::SampleIndex& train, std::int64_t window,
                std::int64_t frame_bytes) {
  if (workload.storage == Storage::kDense) {
    workload.delta = workload.mean = data::matrix_shape(train.n_rows(), workload.dim);
    workload.flat = data::matrix_shape(train.n_rows(), workload.dim * window);
    return;
  }
  workload.delta = data::delta_shape(train, workload.dim, frame_bytes);
  workload.mean = data::mean_shape(train, window, workload.dim, frame_bytes);
  workload.flat = data::flat_shape(train, window, workload.dim, frame_bytes);
}

/// The largest of several needs that do not add up, with what it consists of.
class Peak {
 public:
  void consider(const std::string& name, std::int64_t bytes, std::int64_t minimum) {
    minimum_ = std::max(minimum_, minimum);
    if (bytes <= bytes_) return;
    bytes_ = bytes;
    name_ = name;
  }
  void fill(StagePlan& plan) const {
    plan.memory = {{"program", MemoryBudget::kBaseBytes}, {name_, bytes_}};
    plan.peak_memory_bytes = MemoryBudget::kBaseBytes + bytes_;
    plan.minimum_memory_bytes = MemoryBudget::kBaseBytes + minimum_;
  }

 private:
  std::string name_ = "blocks in flight";
  std::int64_t bytes_ = 0;
  std::int64_t minimum_ = 0;
};

struct Passes {
  std::int64_t min = 0, max = 0;
};

/// Scans over all train rows of one k-means fit, its assignment included.
Passes kmeans_passes(const KMeansOptions& options, std::int64_t n_rows, std::int64_t k) {
  const std::int64_t moments = 1;
  const std::int64_t assignment = 1;
  if (models::kmeans_uses_sample(options, n_rows, k)) {
    return {moments + 1 + 2 + assignment, moments + 1 + options.max_iter + 1 + assignment};
  }
  const std::int64_t seeding = 2 * (k - 1);
  return {moments + seeding + 2 + assignment, moments + seeding + options.max_iter + 1 + assignment};
}

/// Memory of the PCA of one lag; returns how it will go.
models::PcaPlan add_pca(const Session& session, const Workload& workload, std::int64_t k, Peak& peak) {
  const std::int64_t free = session.memory().bytes() - MemoryBudget::kBaseBytes;
  const models::PcaPlan fit =
      models::plan_pca(workload.flat, k, session.options().clustering.pca_method, session.threads(), free);
  peak.consider(fit.method == PcaMethod::kCovariance ? "PCA covariance" : "PCA incremental SVD", fit.bytes,
                fit.minimum_bytes);
  const std::int64_t scores = models::pca_scores_bytes(workload.flat, k, session.threads());
  peak.consider("PCA scores", scores, scores);
  return fit;
}

void add_kmeans(const Session& session, const Workload& workload, const ConditionOptions& condition,
                Peak& peak) {
  const auto& options = session.options().clustering.kmeans;
  const data::SourceShape rows = condition.type == ConditionType::kMeanPoolVq
                                     ? workload.mean
                                     : data::matrix_shape(workload.n_train, condition.pca_dim);
  const models::KMeansMemory memory = models::kmeans_memory(rows, condition.k, options, session.threads());
  const std::int64_t free = session.memory().bytes() - MemoryBudget::kBaseBytes;
  // The budget decides how many restarts run in lockstep; what is left over by the last one is not used.
  peak.consider("k-means of " + condition.name,
                std::min(memory.lockstep_bytes, std::max(free, memory.minimum_bytes)), memory.minimum_bytes);
  const std::int64_t assign = models::assign_bytes(rows, condition.k, session.threads());
  peak.consider("assignment of " + condition.name, assign, assign);
}

}  // namespace

Workload measure(const Options& options, const data::Latents& latents, const data::SplitPlan& splits,
                 int threads) {
  Workload workload;
  const data::SampleIndex train = splits.index(data::Split::kTrain, latents.utterances());
  workload.n_frames = latents.n_frames();
  workload.dim = latents.dim();
  workload.n_train = train.n_rows();
  workload.n_eval = splits.index(data::Split::kEval, latents.utterances()).n_rows();
  workload.n_speakers = std::ssize(splits.speaker_names);
  workload.staged = !latents.mappable();
  const std::int64_t n_rows = workload.n_train + workload.n_eval;
  workload.storage = data::resolve_storage(options, n_rows, workload.dim);
  workload.features_bytes = data::features_bytes(options, n_rows, workload.dim, latents);
  workload.collect_bytes = data::write_features_bytes(options, latents, workload.storage, threads);
  const std::int64_t value_bytes = latents.type() == store::ElementType::kFloat16 ? 2 : 4;
  set_shapes(workload, train, options.context.window_size, value_bytes * workload.dim);
  return workload;
}

Workload measure(const data::Samples& samples) {
  Workload workload;
  workload.dim = samples.dim();
  workload.n_train = samples.index(data::Split::kTrain).n_rows();
  workload.n_eval = samples.index(data::Split::kEval).n_rows();
  workload.n_speakers = std::ssize(samples.speaker_names());
  workload.storage = samples.storage();
  set_shapes(workload, samples.index(data::Split::kTrain), samples.window(), 4 * workload.dim);
  return workload;
}

void check_against_input(const Options& options, const data::Latents& latents, const Workload& workload) {
  const auto refuse = [&](const std::string& key, const std::string& why) {
    throw Error(ErrorKind::kConfig, fmt::format("{}: {}", key, why), {latents.path()});
  };
  if (options.vae_latent_dim && *options.vae_latent_dim != latents.dim()) {
    refuse("vae.latent_dim",
           fmt::format("is {}, but the input has {}", *options.vae_latent_dim, latents.dim()));
  }
  if (options.vae_frame_rate && std::abs(*options.vae_frame_rate - latents.frame_rate_hz()) >
                                    1e-6 * std::abs(latents.frame_rate_hz())) {
    refuse("vae.frame_rate",
           fmt::format("is {}, but the input has {}", *options.vae_frame_rate, latents.frame_rate_hz()));
  }
  const std::int64_t features =
      core::checked_mul(options.context.window_size, latents.dim(), "context.window_size");
  for (const auto& condition : options.clustering.conditions) {
    const std::string key = "clustering.conditions (" + condition.name + ")";
    if (condition.pca_dim > std::min(features, workload.n_train)) {
      refuse(key, fmt::format("pca_dim {} is more than the {} values of a context or the {} train rows",
                              condition.pca_dim, features, workload.n_train));
    }
    if (condition.k > workload.n_train) {
      refuse(key, fmt::format("k {} is more than the {} train rows", condition.k, workload.n_train));
    }
  }
}

StagePlan plan_collect(const Session& session, const Workload& workload) {
  StagePlan plan;
  plan.stage = "collect";
  plan.rows = workload.n_train + workload.n_eval;
  const bool dense = workload.storage == Storage::kDense;
  plan.passes_min = plan.passes_max = 1 + (workload.staged ? 1 : 0) + (dense ? 1 : 0);
  plan.disk_bytes = workload.features_bytes;
  Peak peak;
  const std::int64_t check = session.threads() * (std::int64_t{8} << 20);
  const std::int64_t bytes = std::max(check, workload.collect_bytes);
  peak.consider("frames and features in flight", bytes, bytes);
  peak.fill(plan);
  return plan;
}

StagePlan plan_fit(const Session& session, const Workload& workload) {
  const Options& options = session.options();
  StagePlan plan;
  plan.stage = "fit";
  plan.rows = workload.n_train + workload.n_eval;
  const std::int64_t n_lags = std::ssize(options.context.lags);
  plan.passes_min = plan.passes_max = 1;
  std::set<std::int64_t> pca_dims;
  Peak peak;
  const std::int64_t scan = 2 * session.threads() * (workload.delta.block_bytes + 24 * workload.dim);
  peak.consider("normaliser", scan, scan);
  for (const auto& condition : options.clustering.conditions) {
    if (condition.pca_dim > 0) pca_dims.insert(condition.pca_dim);
    if (condition.type == ConditionType::kPcaQuartile) {
      const std::int64_t bytes =
          models::quartile_bytes(data::matrix_shape(workload.n_train, condition.pca_dim), session.threads());
      peak.consider("quartile edges of " + condition.name, bytes, bytes);
      continue;
    }
    add_kmeans(session, workload, condition, peak);
    if (condition.type != ConditionType::kMeanPoolVq) continue;
    const Passes passes = kmeans_passes(options.clustering.kmeans, workload.n_train, condition.k);
    plan.passes_min += n_lags * passes.min;
    plan.passes_max += n_lags * passes.max;
  }
  const std::int64_t n_cells = n_lags * std::ssize(options.clustering.conditions);
  plan.disk_bytes = 8 * n_cells * plan.rows;
  if (!pca_dims.empty()) {
    const models::PcaPlan pca = add_pca(session, workload, *pca_dims.rbegin(), peak);
    const std::int64_t passes = n_lags * (pca.n_scans + std::ssize(pca_dims));
    plan.passes_min += passes;
    plan.passes_max += passes;
    std::int64_t scores = 0;
    for (const std::int64_t k : pca_dims) scores += 4 * k * plan.rows;
    // The covariance's scratch file is gone before the scores are written.
    plan.disk_bytes += std::max(scores, pca.scratch_bytes);
  }
  peak.fill(plan);
  return plan;
}

StagePlan plan_analyze(const Session& session, const Workload& workload) {
  StagePlan plan;
  plan.stage = "analyze";
  plan.rows = workload.n_train + workload.n_eval;
  const analysis::AnalysisMemory memory =
      analysis::analysis_memory(session.options(), workload.dim, workload.n_train, workload.n_eval,
                                session.threads(), workload.n_speakers);
  const std::int64_t free =
      std::max(session.memory().bytes() - MemoryBudget::kBaseBytes, memory.minimum_bytes);
  const std::int64_t bytes = std::min(memory.one_scan_bytes, free);
  // Every scan does as many dimensions as fit.
  plan.passes_min = plan.passes_max = core::ceil_div(memory.one_scan_bytes, std::max<std::int64_t>(bytes, 1));
  plan.disk_bytes = std::int64_t{4} << 20;
  Peak peak;
  peak.consider("accumulators by cluster, slice and permutation", bytes, memory.minimum_bytes);
  peak.fill(plan);
  return plan;
}

}  // namespace phase0::run
