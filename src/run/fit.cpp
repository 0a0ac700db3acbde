#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "core/random.h"
#include "data/features_file.h"
#include "linalg/blas.h"
#include "models/assign.h"
#include "models/kmeans.h"
#include "models/model_file.h"
#include "models/quartile.h"
#include "phase0/pipeline.h"
#include "run/advice.h"
#include "run/fit_pca.h"
#include "run/fit_units.h"
#include "run/input_path.h"
#include "run/journal.h"
#include "run/stage.h"
#include "run/stage_plan.h"
#include "store/file_system.h"
#include "store/h5_writer.h"

namespace phase0 {
namespace {

using data::FeatureSource;
using data::Split;
using run::Features;

/// Of a frame's value as plans count it, the most that it can take.
constexpr std::int64_t kFrameValueBytes = 4;
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

/// The rows of those utterances.
data::SampleIndex fitted_index(const data::SampleIndex& index) {
  std::vector<data::UtteranceRows> utterances;
  for (const auto& utterance : index.utterances()) {
    if (!utterance.holdout) utterances.push_back(utterance);
  }
  return data::SampleIndex(std::move(utterances));
}

/// Fits and assigns the conditions of one lag after the other, those on means of all lags together first, but
/// for what an earlier start has kept.
class Fitting {
 public:
  explicit Fitting(run::Session& session)
      : session_(session),
        options_(session.options()),
        samples_(session.directory().features(), run::input_path(options_)),
        units_(options_, run::rows_key(options_), session.kernels() + " " + linalg::blas_description(),
               samples_.storage()),
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
    std::map<std::string, Models> on_means;
    for (const auto& condition : options_.clustering.conditions) {
      if (condition.type == ConditionType::kMeanPoolVq) on_means[condition.name] = fit_means(condition);
    }
    for (const std::int64_t lag : options_.context.lags) {
      models::save_normaliser(models_, lag, normaliser);
      for (const auto& condition : options_.clustering.conditions) {
        const auto fitted = on_means.find(condition.name);
        models::save_condition(models_, lag, condition.name,
                               fitted != on_means.end() ? fitted->second.at(lag) : cell(lag, condition));
      }
      pca_.forget(lag);
    }
    assignments_.commit();
    models_.commit();
  }

 private:
  using Models = std::map<std::int64_t, models::ConditionModel>;  ///< by lag

  core::UnitStore& store() { return *session_.execution().units; }

  std::string assignment_group(std::int64_t lag, const ConditionOptions& condition, Split split) const {
    return fmt::format("/lag{}/{}/{}", lag, condition.name, name_of(split));
  }

  void declare_assignments() {
    assignments_.attribute("/", "format", std::string("phase0-assignments"));
    assignments_.attribute("/", "version", std::int64_t{1});
    for (const std::int64_t lag : options_.context.lags) {
      for (const auto& condition : options_.clustering.conditions) {
        for (const Split split : data::kSplits) {
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
      if (std::ssize(normaliser.mu) != samples_.dim() || std::ssize(normaliser.sigma) != samples_.dim())
        throw Error(ErrorKind::kStorage, "is of other dimensions");
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

  /// Whether an earlier start has kept a condition at a lag; if so its ids are in place.
  bool load(std::int64_t lag, const ConditionOptions& condition, run::CellOut& out,
            models::ConditionModel& model) {
    const core::UnitId unit = unit_of(lag, condition);
    const run::CellShape shape{options_.context.window_size, samples_.dim()};
    if (!run::load_cell(store(), unit, condition, shape, model, out)) return false;
    ++n_kept_;
    session_.observer().log(LogLevel::kInfo, unit.name + ": kept from an earlier start");
    return true;
  }
  /// What led there is of no more use then.
  void keep(std::int64_t lag, const ConditionOptions& condition, const models::ConditionModel& model,
            const run::CellOut& out) {
    if (!run::save_cell(store(), unit_of(lag, condition), model, out) || !model.kmeans) return;
    store().drop(units_.kmeans_progress(lag, condition, pca_.group_of(lag)));
  }
  core::UnitId unit_of(std::int64_t lag, const ConditionOptions& condition) const {
    return units_.cell(lag, condition, pca_.group_of(lag));
  }

  /// A condition on components at a lag, its ids in place.
  models::ConditionModel cell(std::int64_t lag, const ConditionOptions& condition) {
    run::CellOut out = cell_out(lag, condition);
    models::ConditionModel model;
    if (load(lag, condition, out, model)) return model;
    const run::Components& components = pca_.components(lag, condition.pca_dim);
    model.n_total = components.scores.train->n_rows();
    model.pca = components.model;
    if (condition.type == ConditionType::kPcaQuartile) {
      fit_quartile(lag, condition, components.scores, out, model);
    } else {
      const std::unique_ptr<FeatureSource> some = fitted_rows(*components.scores.train);
      const FeatureSource& rows = some ? *some : *components.scores.train;
      model.kmeans = models::fit_kmeans(rows, kmeans_task(lag, condition), session_.execution());
      assign(lag, condition, components.scores, out, model);
    }
    keep(lag, condition, model, out);
    return model;
  }

  /// A condition on means at all lags, its ids in place.
  Models fit_means(const ConditionOptions& condition) {
    Models models;
    std::vector<std::int64_t> lags;
    for (const std::int64_t lag : options_.context.lags) {
      run::CellOut out = cell_out(lag, condition);
      models::ConditionModel model;
      if (load(lag, condition, out, model)) {
        models[lag] = std::move(model);
      } else {
        lags.push_back(lag);
      }
    }
    if (lags.empty()) return models;
    std::vector<std::unique_ptr<FeatureSource>> rows;
    std::vector<models::KMeansFit> fits;
    for (const std::int64_t lag : lags) {
      rows.push_back(samples_.mean(Split::kTrain, lag));
      if (std::unique_ptr<FeatureSource> some = fitted_rows(*rows.back())) rows.push_back(std::move(some));
      fits.push_back({*rows.back(), kmeans_task(lag, condition)});
    }
    const data::SampleIndex& train = samples_.index(Split::kTrain);
    const data::SampleIndex some = excludes_holdout() ? fitted_index(train) : data::SampleIndex();
    const data::SampleIndex& fitted = excludes_holdout() ? some : train;
    models::fit_kmeans(fits, join_of(condition, lags, fits[0].rows.shape(), fitted), session_.execution(),
                       [&](std::int64_t number, models::KMeansModel model) {
                         const std::int64_t lag = lags[static_cast<std::size_t>(number)];
                         models[lag] = finish_means(lag, condition, std::move(model));
                       });
    return models;
  }

  /// The ids of a condition on means whose clusters are found.
  models::ConditionModel finish_means(std::int64_t lag, const ConditionOptions& condition,
                                      models::KMeansModel kmeans) {
    const Features mean{samples_.mean(Split::kTrain, lag), samples_.mean(Split::kEval, lag)};
    const run::CellOut out = cell_out(lag, condition);
    models::ConditionModel model;
    model.n_total = mean.train->n_rows();
    model.kmeans = std::move(kmeans);
    assign(lag, condition, mean, out, model);
    keep(lag, condition, model, out);
    return model;
  }

  /// How the means of some lags go together, which have the shape of `one`; `rows` are those of each.
  models::KMeansJoin join_of(const ConditionOptions& condition, const std::vector<std::int64_t>& lags,
                             const data::SourceShape& one, const data::SampleIndex& rows) const {
    models::KMeansJoin join;
    join.shapes = {one};
    const bool alone =
        samples_.storage() == Storage::kDense || store::lies_in_memory(session_.directory().path);
    if (alone) return join;
    const auto chosen = [&lags](models::KMeansFits numbers) {
      std::vector<std::int64_t> some;
      for (const std::int64_t number : numbers) some.push_back(lags[static_cast<std::size_t>(number)]);
      return some;
    };
    const auto joined = run::joined_means(options_, rows, samples_.dim(), kFrameValueBytes * samples_.dim());
    join.shapes.insert(join.shapes.end(), joined.begin(), joined.begin() + (std::ssize(lags) - 1));
    join.rows = [this, &rows, chosen](models::KMeansFits numbers) {
      return samples_.means(rows, chosen(numbers));
    };
    join.label = [&condition, chosen](models::KMeansFits numbers) {
      return fmt::format("lags {}: {}", fmt::join(chosen(numbers), ", "), condition.name);
    };
    return join;
  }

  static const models::AssignmentOut& of(const run::CellOut& out, Split split) {
    return split == Split::kTrain ? out.train : out.eval;
  }

  void fit_quartile(std::int64_t lag, const ConditionOptions& condition, const Features& scores,
                    const run::CellOut& out, models::ConditionModel& model) {
    const std::string label = fmt::format("lag {}: {}", lag, condition.name);
    model.quartile = models::fit_quartiles(*scores.train, session_.execution(), label);
    for (const Split split : data::kSplits) {
      models::assign_quartiles(*model.quartile, scores.of(split), of(out, split), session_.execution(),
                               label + ": ids");
    }
  }

  bool excludes_holdout() const { return options_.clustering.holdout == HoldoutPolicy::kExclude; }
  /// Those of the train rows that are not held out, where held out rows are not fitted on.
  std::unique_ptr<FeatureSource> fitted_rows(const FeatureSource& train) const {
    if (!excludes_holdout()) return nullptr;
    return data::subset_source(train, fitted_ranges(samples_.index(Split::kTrain)));
  }

  models::KMeansTask kmeans_task(std::int64_t lag, const ConditionOptions& condition) const {
    models::KMeansTask task;
    task.k = condition.k;
    task.options = options_.clustering.kmeans;
    task.seed =
        core::derive_seed(options_.seed, "k-means " + condition.name, static_cast<std::uint64_t>(lag));
    task.scratch_folder = session_.directory().path;
    task.label = fmt::format("lag {}: {}", lag, condition.name);
    task.progress = units_.kmeans_progress(lag, condition, pca_.group_of(lag));
    return task;
  }

  /// Ids and distances of the rows of both splits.
  void assign(std::int64_t lag, const ConditionOptions& condition, const Features& features,
              const run::CellOut& out, models::ConditionModel& model) {
    const std::vector<float> shift = centre(*model.kmeans);
    for (const Split split : data::kSplits) {
      const models::AssignmentSums sums =
          models::assign_nearest(model.kmeans->centroids, condition.k, shift, features.of(split),
                                 samples_.index(split), of(out, split), session_.execution(),
                                 fmt::format("lag {}: {}: {} ids", lag, condition.name, name_of(split)));
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

run::StageReport fit_models(run::Session& session, const RunFlags& flags) {
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
  run::Journal(session.directory()).begin("fit", flags.fresh);
  session.keep_units(flags);
  fitting.run();
  return {plan, {{"n_cells_kept", fitting.n_kept()}}};
}

}  // namespace

StageOutcome run::fit(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock) {
  run::Session session(options, observer, &lock);
  const std::string collected = run::collect_key(options);
  run::require_stage(session, "collect", collected);
  session.lock_directory();
  run::require_stage(session, "collect", collected);  // which who held the lock may have changed
  return run::run_stage(session, "fit", run::fit_key(options, collected, session.kernels()), flags.fresh,
                        [&] { return fit_models(session, flags); });
}

}  // namespace phase0
