#include <fmt/format.h>

#include "core/random.h"
#include "data/features_file.h"
#include "models/assign.h"
#include "models/kmeans.h"
#include "models/model_file.h"
#include "models/quartile.h"
#include "phase0/pipeline.h"
#include "run/advice.h"
#include "run/fit_pca.h"
#include "run/fit_units.h"
#include "run/journal.h"
#include "run/stage.h"
#include "run/stage_plan.h"
#include "store/h5_writer.h"

namespace phase0 {
namespace {

using data::FeatureSource;
using data::Split;
using run::Features;

constexpr Split kSplits[] = {Split::kTrain, Split::kEval};
const char* name_of(Split split) {
  return split == Split::kTrain ? "train" : "eval";
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

/// Fits and assigns the conditions of one lag after the other, but for those that an earlier start has kept.
class Fitting {
 public:
  Fitting(run::Session& session, const std::string& collect_key)
      : session_(session),
        options_(session.options()),
        samples_(session.directory().features(), options_.data.latents),
        units_(options_, collect_key, session.kernels()),
        pca_(session, samples_, units_),
        assignments_(session.directory().assignments()),
        models_(session.directory().models()) {}

  const data::Samples& samples() const { return samples_; }
  /// Conditions of all lags that did not need to be fitted again.
  std::int64_t n_kept() const { return n_kept_; }

  void run() {
    declare_assignments();
    models::begin_models(models_);
    const models::Normaliser normaliser = this->normaliser();
    for (const std::int64_t lag : options_.context.lags) {
      models::save_normaliser(models_, lag, normaliser);
      for (const auto& condition : options_.clustering.conditions) {
        models::save_condition(models_, lag, condition.name, cell(lag, condition));
      }
      pca_.forget(lag);
    }
    assignments_.commit();
    models_.commit();
  }

 private:
  core::UnitStore& store() { return *session_.execution().units; }

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

  run::CellOut cell_out(std::int64_t lag, const ConditionOptions& condition) {
    const auto out = [&](Split split) {
      const std::string at = assignment_group(lag, condition, split);
      return models::AssignmentOut{assignments_.map(at + "/cluster"), assignments_.map(at + "/distance")};
    };
    return {out(Split::kTrain), out(Split::kEval)};
  }

  models::Normaliser normaliser() {
    models::Normaliser normaliser;
    const bool kept = store().load(units_.normaliser(), [&](core::ByteSource& source) {
      normaliser = {source.get_all<double>(), source.get_all<double>(), source.get<std::int64_t>()};
    });
    if (kept) return normaliser;
    const auto delta = samples_.delta(Split::kTrain);
    normaliser = models::make_normaliser(models::column_moments(*delta, session_.execution(), "normaliser"));
    store().save(units_.normaliser(), [&](core::ByteSink& sink) {
      sink.put_all(normaliser.mu);
      sink.put_all(normaliser.sigma);
      sink.put(normaliser.n_samples);
    });
    return normaliser;
  }

  /// A condition at a lag, its ids in place.
  models::ConditionModel cell(std::int64_t lag, const ConditionOptions& condition) {
    const core::UnitId unit = units_.cell(lag, condition, pca_.group_of(lag));
    run::CellOut out = cell_out(lag, condition);
    models::ConditionModel model;
    if (run::load_cell(store(), unit, model, out)) {
      ++n_kept_;
      session_.observer().log(LogLevel::kInfo, unit.name + ": kept from an earlier start");
      return model;
    }
    model = fit_cell(lag, condition, out);
    run::save_cell(store(), unit, model, out);
    return model;
  }

  models::ConditionModel fit_cell(std::int64_t lag, const ConditionOptions& condition,
                                  const run::CellOut& out) {
    models::ConditionModel model;
    const bool on_mean = condition.type == ConditionType::kMeanPoolVq;
    const run::Components* components = on_mean ? nullptr : &pca_.components(lag, condition.pca_dim);
    const Features mean =
        on_mean ? Features{samples_.mean(Split::kTrain, lag), samples_.mean(Split::kEval, lag)} : Features{};
    const Features& features = on_mean ? mean : components->scores;
    model.n_total = features.train->n_rows();
    if (!on_mean) model.pca = components->model;
    if (condition.type == ConditionType::kPcaQuartile) {
      fit_quartile(lag, condition, features, out, model);
    } else {
      fit_vq(lag, condition, features, out, model);
    }
    return model;
  }

  static const models::AssignmentOut& of(const run::CellOut& out, Split split) {
    return split == Split::kTrain ? out.train : out.eval;
  }

  void fit_quartile(std::int64_t lag, const ConditionOptions& condition, const Features& scores,
                    const run::CellOut& out, models::ConditionModel& model) {
    const std::string label = fmt::format("lag {}: {}", lag, condition.name);
    model.quartile = models::fit_quartiles(*scores.train, session_.execution(), label);
    for (const Split split : kSplits) {
      models::assign_quartiles(*model.quartile, scores.of(split), of(out, split), session_.execution(),
                               label + ": ids");
    }
  }

  void fit_vq(std::int64_t lag, const ConditionOptions& condition, const Features& features,
              const run::CellOut& out, models::ConditionModel& model) {
    models::KMeansTask task;
    task.k = condition.k;
    task.options = options_.clustering.kmeans;
    task.seed =
        core::derive_seed(options_.seed, "k-means " + condition.name, static_cast<std::uint64_t>(lag));
    task.scratch_folder = session_.directory().path;
    task.label = fmt::format("lag {}: {}", lag, condition.name);
    task.progress = units_.kmeans_progress(lag, condition, pca_.group_of(lag));
    std::unique_ptr<FeatureSource> fitted;
    if (options_.clustering.holdout == HoldoutPolicy::kExclude) {
      fitted = data::subset_source(*features.train, fitted_ranges(samples_.index(Split::kTrain)));
    }
    model.kmeans = models::fit_kmeans(fitted ? *fitted : *features.train, task, session_.execution());
    const std::vector<float> shift = centre(*model.kmeans);
    for (const Split split : kSplits) {
      const models::AssignmentSums sums = models::assign_nearest(
          model.kmeans->centroids, condition.k, shift, features.of(split), samples_.index(split),
          of(out, split), session_.execution(), task.label + ": " + name_of(split) + " ids");
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

  run::Session& session_;
  const Options& options_;
  data::Samples samples_;
  run::FitUnits units_;
  run::FitPca pca_;
  store::H5Writer assignments_;
  store::H5Writer models_;
  std::int64_t n_kept_ = 0;
};

run::StageReport fit_models(run::Session& session, const RunFlags& flags, const std::string& collect_key) {
  Fitting fitting(session, collect_key);
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
  session.keep_units(flags);
  fitting.run();
  return {plan, {{"n_cells_kept", fitting.n_kept()}}};
}

}  // namespace

StageOutcome fit(const Options& options, const RunFlags& flags, Observer& observer) {
  run::Session session(options, observer);
  const std::string collected = run::collect_key(options);
  run::require_stage(session, "collect", collected);
  session.lock_directory();
  return run::run_stage(session, "fit", run::fit_key(options, collected, session.kernels()), flags.fresh,
                        [&] { return fit_models(session, flags, collected); });
}

}  // namespace phase0
