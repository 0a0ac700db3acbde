#include "run/stage_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/checked.h"
#include "run/peak.h"
#include "run/plan_work.h"

namespace phase0::run {
namespace {

/// The larger of what both splits need for a block; rows of the train split.
data::SourceShape wider(data::SourceShape train, const data::SourceShape& eval) {
  train.block_bytes = std::max(train.block_bytes, eval.block_bytes);
  train.ahead_bytes = std::max(train.ahead_bytes, eval.ahead_bytes);
  return train;
}

/// Shapes of the sources for a storage.
void set_shapes(Workload& workload, const Options& options, const data::SampleIndex& train,
                const data::SampleIndex& eval, std::int64_t frame_bytes) {
  const std::int64_t dim = workload.dim;
  const std::int64_t window = options.context.window_size;
  if (workload.storage == Storage::kDense) {
    const auto matrix = [&](std::int64_t columns) {
      return wider(data::matrix_shape(train.n_rows(), columns), data::matrix_shape(eval.n_rows(), columns));
    };
    workload.delta = workload.mean = matrix(dim);
    workload.flat = workload.span = matrix(dim * window);
    return;
  }
  workload.delta =
      wider(data::delta_shape(train, dim, frame_bytes), data::delta_shape(eval, dim, frame_bytes));
  workload.mean = wider(data::means_shape(train, window, {0}, dim, frame_bytes),
                        data::means_shape(eval, window, {0}, dim, frame_bytes));
  workload.joined_means = joined_means(options, train, dim, frame_bytes);
  const auto flat = [&](std::int64_t span) {
    return wider(data::flat_shape(train, span, dim, frame_bytes),
                 data::flat_shape(eval, span, dim, frame_bytes));
  };
  workload.flat = flat(window);
  std::int64_t span = window;
  for (const LagGroup& group : pca_lag_groups(options, workload.storage, dim)) {
    span = std::max(span, span_of(group, window));
  }
  workload.span = flat(span);
}

}  // namespace

std::vector<data::SourceShape> joined_means(const Options& options, const data::SampleIndex& rows,
                                            std::int64_t dim, std::int64_t frame_bytes) {
  // No lags lie farther apart than the least and the most.
  const auto [least, most] = std::minmax_element(options.context.lags.begin(), options.context.lags.end());
  std::vector<data::SourceShape> shapes;
  std::vector<std::int64_t> lags = {*least};
  while (lags.size() < options.context.lags.size()) {
    lags.push_back(*most);
    shapes.push_back(data::means_shape(rows, options.context.window_size, lags, dim, frame_bytes));
  }
  return shapes;
}

Workload measure(const Options& options, const data::Latents& latents, const data::SplitPlan& splits) {
  Workload workload;
  const data::SampleIndex train = splits.index(data::Split::kTrain, latents.utterances());
  const data::SampleIndex eval = splits.index(data::Split::kEval, latents.utterances());
  workload.n_frames = latents.n_frames();
  workload.dim = latents.dim();
  workload.n_train = train.n_rows();
  workload.n_eval = eval.n_rows();
  workload.n_speakers = std::ssize(splits.speaker_names);
  workload.n_utterances = std::ssize(latents.utterances());
  workload.staged = !latents.mappable();
  const std::int64_t n_rows = workload.n_train + workload.n_eval;
  workload.storage = data::resolve_storage(options, n_rows, workload.dim);
  workload.features_bytes = data::features_bytes(options, n_rows, workload.dim, latents);
  workload.check = data::check_need(latents);
  workload.check_blocks = data::check_blocks(latents);
  workload.write = data::write_features_memory(options, latents, splits);
  workload.frame_bytes = data::staged_codec(latents).row_bytes();
  workload.input_frame_bytes = latents.codec().row_bytes();
  workload.quantised = latents.codec().quantised();
  workload.table_bytes = latents.codec().table_bytes();
  set_shapes(workload, options, train, eval, workload.frame_bytes);
  return workload;
}

Workload measure(const Options& options, const data::Samples& samples, std::int64_t features_bytes) {
  Workload workload;
  workload.dim = samples.dim();
  workload.n_train = samples.index(data::Split::kTrain).n_rows();
  workload.n_eval = samples.index(data::Split::kEval).n_rows();
  workload.n_speakers = std::ssize(samples.speaker_names());
  workload.n_utterances = samples.n_utterances_in_all();
  workload.storage = samples.storage();
  workload.features_bytes = features_bytes;
  workload.frame_bytes = 4 * workload.dim;
  workload.table_bytes = samples.table_bytes();
  set_shapes(workload, options, samples.index(data::Split::kTrain), samples.index(data::Split::kEval),
             workload.frame_bytes);
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

std::int64_t index_bytes(const Workload& workload) {
  return workload.n_utterances * data::kUtteranceBytes + workload.table_bytes;
}

std::int64_t models_bytes(const Options& options, const Workload& workload) {
  const auto times = [](std::int64_t a, std::int64_t b) {
    return core::checked_mul(a, b, "the memory of the models", ErrorKind::kMemory);
  };
  const auto plus = [](std::int64_t a, std::int64_t b) {
    return core::checked_add(a, b, "the memory of the models", ErrorKind::kMemory);
  };
  std::int64_t rows = 0;
  std::int64_t on_means = 0;
  for (const auto& condition : options.clustering.conditions) {
    rows = plus(rows, condition.pca_dim + 1);
    if (condition.type == ConditionType::kMeanPoolVq)
      on_means = plus(on_means, times(condition.k, 4 * workload.dim + 8));
  }
  const std::int64_t lags = std::ssize(options.context.lags);
  const std::int64_t flat = times(workload.dim, options.context.window_size);
  // The largest model of a lag and those cut from it, and the one being saved.
  return plus(times(times((2 * lags + 1) * 8, rows), flat), times(lags, on_means));
}

StagePlan plan_collect(const Session& session, const Workload& workload) {
  StagePlan plan;
  plan.stage = "collect";
  plan.rows = workload.n_train + workload.n_eval;
  const bool dense = workload.storage == Storage::kDense;
  plan.passes_min = plan.passes_max = 1 + (workload.staged ? 1 : 0) + (dense ? 1 : 0);
  plan.disk_bytes = workload.features_bytes;
  Peak peak(session, index_bytes(workload), collect_files_in_memory(session, workload));
  peak.consider("checking input", workload.check, workload.check_blocks);
  peak.consider("staging frames", workload.write.staging_bytes, workload.write.staging_bytes);
  peak.consider("energy and row index", workload.write.rows_bytes, workload.write.rows_bytes);
  if (dense) {
    peak.consider("dense features in flight", workload.write.dense, workload.write.dense_blocks,
                  data::kDenseWriters);
  }
  peak.fill(plan);
  set_traffic(collect_work(session, workload), plan);
  return plan;
}

StagePlan plan_analyze(const Session& session, const Workload& workload) {
  const std::int64_t free = session.memory().bytes() - core::MemoryBudget::kBaseBytes -
                            index_bytes(workload) - analyze_files_in_memory(session, workload);
  return plan_analyze(
      session, workload,
      analysis::analysis_memory(session.options(), workload.dim, workload.n_train, workload.n_eval,
                                session.threads(), free, workload.n_speakers));
}

StagePlan plan_analyze(const Session& session, const Workload& workload,
                       const analysis::AnalysisMemory& memory) {
  StagePlan plan;
  plan.stage = "analyze";
  plan.rows = workload.n_train + workload.n_eval;
  plan.passes_min = plan.passes_max = memory.n_scans;
  plan.disk_bytes = analyze_output_bytes(session, workload);
  Peak peak(session, index_bytes(workload), analyze_files_in_memory(session, workload));
  peak.consider("accumulators by cluster, slice and permutation", memory.planned_bytes, memory.minimum_bytes);
  peak.fill(plan);
  set_traffic(analyze_work(session, workload, plan.passes_max), plan);
  return plan;
}

}  // namespace phase0::run
