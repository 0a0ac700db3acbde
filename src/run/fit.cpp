#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/random.h"
#include "data/features_file.h"
#include "models/assign.h"
#include "models/kmeans.h"
#include "models/model_file.h"
#include "models/pca.h"
#include "models/quartile.h"
#include "phase0/pipeline.h"
#include "run/advice.h"
#include "run/journal.h"
#include "run/lag_groups.h"
#include "run/stage.h"
#include "run/stage_plan.h"
#include "store/h5_writer.h"

namespace phase0 {
namespace {

using data::FeatureSource;
using data::Split;

constexpr Split kSplits[] = {Split::kTrain, Split::kEval};
const char* name_of(Split split) {
  return split == Split::kTrain ? "train" : "eval";
}

/// Rows of one feature in both splits.
struct Features {
  std::unique_ptr<FeatureSource> train;
  std::unique_ptr<FeatureSource> eval;
  const FeatureSource& of(Split split) const { return split == Split::kTrain ? *train : *eval; }
};

/// The first `k` components of a larger model.
models::PcaModel leading(const models::PcaModel& model, std::int64_t k) {
  models::PcaModel part = model;
  part.k = k;
  part.components.resize(static_cast<std::size_t>(k * model.dim));
  part.explained_variance.resize(static_cast<std::size_t>(k));
  part.explained_variance_ratio.resize(static_cast<std::size_t>(k));
  return part;
}

/// Row ranges of the utterances that are not held out.
std::vector<std::pair<std::int64_t, std::int64_t>> fitted_ranges(const data::SampleIndex& index) {
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  for (const auto& utterance : index.utterances()) {
    if (utterance.holdout) continue;
    if (!ranges.empty() && ranges.back().second == utterance.first_row) {
      ranges.back().second += utterance.n_rows;
    } else {
      ranges.emplace_back(utterance.first_row, utterance.first_row + utterance.n_rows);
    }
  }
  return ranges;
}

/// Fits and assigns the conditions of one lag after the other.
class Fitting {
 public:
  explicit Fitting(run::Session& session)
      : session_(session),
        options_(session.options()),
        samples_(session.directory().features(), options_.data.latents),
        assignments_(session.directory().assignments()),
        models_(session.directory().models()) {}

  const data::Samples& samples() const { return samples_; }

  void run() {
    declare_assignments();
    models::begin_models(models_);
    const auto delta = samples_.delta(Split::kTrain);
    const models::Normaliser normaliser =
        models::make_normaliser(models::column_moments(*delta, session_.execution(), "normaliser"));
    fit_pca();
    for (const std::int64_t lag : options_.context.lags) {
      models::save_normaliser(models_, lag, normaliser);
      fit_lag(lag);
      components_.erase(lag);
    }
    assignments_.commit();
    models_.commit();
  }

 private:
  std::string assignment_group(std::int64_t lag, const ConditionOptions& condition, Split split) const {
    return fmt::format("/lag{}/{}/{}", lag, condition.name, name_of(split));
  }

  void declare_assignments() {
    assignments_.attribute("/", "format", std::string("phase0-assignments"));
    assignments_.attribute("/", "version", std::int64_t{1});
    for (const std::int64_t lag : options_.context.lags) {
      for (const auto& condition : options_.clustering.conditions) {
        for (const Split split : kSplits) {
          const std::string at = assignment_group(lag, condition, split);
          const std::int64_t n = samples_.index(split).n_rows();
          assignments_.declare(at + "/cluster", store::ElementType::kInt32, {n});
          assignments_.declare(at + "/distance", store::ElementType::kFloat32, {n});
        }
      }
    }
    assignments_.begin_streaming();
  }

  models::AssignmentOut assignment_out(std::int64_t lag, const ConditionOptions& condition, Split split) {
    const std::string at = assignment_group(lag, condition, split);
    return {assignments_.map(at + "/cluster"), assignments_.map(at + "/distance")};
  }

  void fit_lag(std::int64_t lag) {
    const Features mean{samples_.mean(Split::kTrain, lag), samples_.mean(Split::kEval, lag)};
    for (const auto& condition : options_.clustering.conditions) {
      const bool on_mean = condition.type == ConditionType::kMeanPoolVq;
      models::ConditionModel model;
      const Components* components = on_mean ? nullptr : &components_.at(lag).at(condition.pca_dim);
      const Features& features = on_mean ? mean : components->scores;
      model.n_total = features.train->n_rows();
      if (!on_mean) model.pca = components->model;
      if (condition.type == ConditionType::kPcaQuartile) {
        fit_quartile(lag, condition, features, model);
      } else {
        fit_vq(lag, condition, features, model);
      }
      models::save_condition(models_, lag, condition.name, model);
    }
  }

  void fit_pca() {
    std::set<std::int64_t> dims;
    for (const auto& condition : options_.clustering.conditions) {
      if (condition.pca_dim > 0) dims.insert(condition.pca_dim);
    }
    if (dims.empty()) return;
    for (const auto& group : run::pca_lag_groups(options_, samples_.storage(), samples_.dim())) {
      fit_pca(group, dims);
    }
  }

  /// One covariance serves all numbers of components of its lags; scores go to scratch files.
  void fit_pca(const run::LagGroup& group, const std::set<std::int64_t>& dims) {
    const models::PcaTask task =
        run::pca_task(group, options_, samples_.storage(), *dims.rbegin(), session_.directory().path);
    const Features rows{samples_.flat(Split::kTrain, group.front(), group.back()),
                        samples_.flat(Split::kEval, group.front(), group.back())};
    const std::vector<models::PcaModel> largest = models::fit_pca(*rows.train, task, session_.execution());
    for (const std::int64_t k : dims) {
      for (std::size_t i = 0; i < group.size(); ++i) components_[group[i]][k].model = leading(largest[i], k);
      for (const Split split : kSplits) score(group, task, k, split, rows.of(split));
    }
  }

  void score(const run::LagGroup& group, const models::PcaTask& task, std::int64_t k, Split split,
             const FeatureSource& rows) {
    std::vector<models::PcaScores> scores;
    for (std::size_t i = 0; i < group.size(); ++i) {
      scores.push_back(
          {&components_[group[i]][k].model, task.starts[i],
           store::scratch_matrix(session_.directory().path, store::ElementType::kFloat32, rows.n_rows(), k)});
    }
    models::pca_scores(scores, task.window, rows, session_.execution(),
                       fmt::format("{} scores", name_of(split)));
    for (std::size_t i = 0; i < group.size(); ++i) {
      Features& features = components_[group[i]][k].scores;
      (split == Split::kTrain ? features.train : features.eval) =
          data::matrix_source(std::move(scores[i].out));
    }
  }

  void fit_quartile(std::int64_t lag, const ConditionOptions& condition, const Features& scores,
                    models::ConditionModel& model) {
    const std::string label = fmt::format("lag {}: {}", lag, condition.name);
    model.quartile = models::fit_quartiles(*scores.train, session_.execution(), label);
    for (const Split split : kSplits) {
      models::assign_quartiles(*model.quartile, scores.of(split), assignment_out(lag, condition, split),
                               session_.execution(), label + ": ids");
    }
  }

  void fit_vq(std::int64_t lag, const ConditionOptions& condition, const Features& features,
              models::ConditionModel& model) {
    models::KMeansTask task;
    task.k = condition.k;
    task.options = options_.clustering.kmeans;
    task.seed =
        core::derive_seed(options_.seed, "k-means " + condition.name, static_cast<std::uint64_t>(lag));
    task.scratch_folder = session_.directory().path;
    task.label = fmt::format("lag {}: {}", lag, condition.name);
    std::unique_ptr<FeatureSource> fitted;
    if (options_.clustering.holdout == HoldoutPolicy::kExclude) {
      fitted = data::subset_source(*features.train, fitted_ranges(samples_.index(Split::kTrain)));
    }
    model.kmeans = models::fit_kmeans(fitted ? *fitted : *features.train, task, session_.execution());
    const std::vector<float> shift = centre(*model.kmeans);
    for (const Split split : kSplits) {
      const models::AssignmentSums sums =
          models::assign_nearest(model.kmeans->centroids, condition.k, shift, features.of(split),
                                 samples_.index(split), assignment_out(lag, condition, split),
                                 session_.execution(), task.label + ": " + name_of(split) + " ids");
      if (split == Split::kTrain) model.train_sums = sums;
    }
  }

  /// Mean of the centroids: near enough to the data's mean to keep products precise.
  static std::vector<float> centre(const models::KMeansModel& model) {
    std::vector<double> sums(static_cast<std::size_t>(model.d), 0.0);
    for (std::size_t i = 0; i < model.centroids.size(); ++i) {
      sums[i % sums.size()] += static_cast<double>(model.centroids[i]);
    }
    std::vector<float> centre;
    centre.reserve(sums.size());
    for (const double sum : sums) centre.push_back(static_cast<float>(sum / static_cast<double>(model.k)));
    return centre;
  }

  /// Of one lag and number of components.
  struct Components {
    models::PcaModel model;
    Features scores;
  };

  run::Session& session_;
  const Options& options_;
  data::Samples samples_;
  store::H5Writer assignments_;
  store::H5Writer models_;
  std::map<std::int64_t, std::map<std::int64_t, Components>>
      components_;  ///< [lag][k], until the lag is fitted
};

run::StageReport fit_models(run::Session& session) {
  Fitting fitting(session);
  const run::Workload workload =
      run::measure(session.options(), fitting.samples(), fitting.samples().file_bytes());
  const StagePlan plan = run::plan_fit(session, workload);
  run::require_memory(
      session, [&](const run::Session& s) { return run::plan_fit(s, workload).minimum_memory_bytes; },
      run::ChangeableFrom::kFit);
  run::require_disk(session, "fit", plan.disk_bytes, run::replaced_bytes(session, "fit"));
  session.announce(plan.peak_memory_bytes);
  const core::Reservation output(session.execution().memory, plan.output_in_memory_bytes, "output on tmpfs");
  const core::Reservation held(session.execution().memory,
                               run::index_bytes(workload) + run::models_bytes(session.options(), workload),
                               "the row index and the models");
  run::Journal(session.directory()).begin("fit");
  fitting.run();
  return {plan, {}};
}

}  // namespace

StageOutcome fit(const Options& options, const RunFlags& flags, Observer& observer) {
  run::Session session(options, observer);
  const std::string collected = run::collect_key(options);
  run::require_stage(session, "collect", collected);
  session.lock_directory();
  return run::run_stage(session, "fit", run::fit_key(options, collected, session.kernels()), flags.fresh,
                        [&] { return fit_models(session); });
}

}  // namespace phase0
