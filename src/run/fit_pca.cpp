#include "run/fit_pca.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/check.h"
#include "models/model_units.h"
#include "store/mapped.h"

namespace phase0::run {
namespace {

using data::Split;

/// The first `k` components of a larger model.
models::PcaModel leading(const models::PcaModel& model, std::int64_t k) {
  models::PcaModel part = model;
  part.k = k;
  part.components.resize(static_cast<std::size_t>(k * model.dim));
  part.explained_variance.resize(static_cast<std::size_t>(k));
  part.explained_variance_ratio.resize(static_cast<std::size_t>(k));
  return part;
}

}  // namespace

FitPca::FitPca(Session& session, const data::Samples& samples, const FitUnits& units)
    : session_(session), samples_(samples), units_(units) {
  for (const auto& condition : session.options().clustering.conditions) {
    if (condition.pca_dim > 0) dims_.insert(condition.pca_dim);
  }
  if (!dims_.empty()) groups_ = pca_lag_groups(session.options(), samples.storage(), samples.dim());
}

const LagGroup& FitPca::group_of(std::int64_t lag) const {
  static const LagGroup none;
  const auto holds = [lag](const LagGroup& group) { return std::ranges::find(group, lag) != group.end(); };
  const auto group = std::ranges::find_if(groups_, holds);
  return group == groups_.end() ? none : *group;
}

const Components& FitPca::components(std::int64_t lag, std::int64_t k) {
  if (!components_.contains(lag)) fit(group_of(lag));
  return components_.at(lag).at(k);
}

void FitPca::forget(std::int64_t lag) {
  for (const auto& [k, components] : components_[lag]) {
    for (const store::MappedDataset& scratch : components.scratch) scratch.check_write_back();
  }
  components_.erase(lag);
}

void FitPca::fit(const LagGroup& group) {
  PHASE0_CHECK(!group.empty());
  models::PcaTask task =
      pca_task(group, session_.options(), samples_.storage(), *dims_.rbegin(), session_.directory().path);
  task.progress = units_.pca_progress(group);
  const Features rows{samples_.flat(Split::kTrain, group.front(), group.back()),
                      samples_.flat(Split::kEval, group.front(), group.back())};
  const std::vector<models::PcaModel> models = largest(group, task, *rows.train);
  for (const std::int64_t k : dims_) {
    for (std::size_t i = 0; i < group.size(); ++i) components_[group[i]][k].model = leading(models[i], k);
    for (const Split split : data::kSplits) score(group, task, k, split, rows.of(split));
  }
}

std::vector<models::PcaModel> FitPca::largest(const LagGroup& group, const models::PcaTask& task,
                                              const data::FeatureSource& train) {
  core::UnitStore& store = *session_.execution().units;
  std::vector<models::PcaModel> models;
  const bool kept = store.load(units_.pca(group), [&](core::ByteSource& source) {
    models.clear();
    for (std::size_t i = 0; i < group.size(); ++i) {
      models.push_back(models::get_pca(source));
      if (models[i].k != task.k || models[i].dim != task.window * samples_.dim())
        throw Error(ErrorKind::kStorage, "holds a model of another shape");
    }
  });
  if (kept) return models;
  models = models::fit_pca(train, task, session_.execution());
  const bool safe = store.save(units_.pca(group), [&](core::ByteSink& sink) {
    for (const models::PcaModel& model : models) models::put(sink, model);
  });
  if (safe) store.drop(units_.pca_progress(group));
  return models;
}

void FitPca::score(const LagGroup& group, const models::PcaTask& task, std::int64_t k, Split split,
                   const data::FeatureSource& rows) {
  std::vector<models::PcaScores> scores;
  for (std::size_t i = 0; i < group.size(); ++i) {
    scores.push_back(
        {&components_[group[i]][k].model, task.starts[i],
         store::scratch_matrix(session_.directory().path, store::ElementType::kFloat32, rows.n_rows(), k)});
  }
  models::pca_scores(scores, task.window, rows, session_.execution(),
                     fmt::format("{} scores", split == Split::kTrain ? "train" : "eval"));
  for (std::size_t i = 0; i < group.size(); ++i) {
    Components& components = components_[group[i]][k];
    components.scratch.push_back(scores[i].out);
    Features& features = components.scores;
    (split == Split::kTrain ? features.train : features.eval) = data::matrix_source(std::move(scores[i].out));
  }
}

}  // namespace phase0::run
