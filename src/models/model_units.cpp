#include "models/model_units.h"

#include "core/checked.h"
#include "phase0/error.h"

namespace phase0::models {

template <class Visit, core::Like<PcaModel> T>
void each_field(Visit& visit, T& model) {
  visit(model.k, model.dim, model.n_samples, model.method, model.mean, model.components,
        model.explained_variance, model.explained_variance_ratio);
}

template <class Visit, core::Like<KMeansModel> T>
void each_field(Visit& visit, T& model) {
  visit(model.k, model.d, model.centroids, model.counts, model.inertia, model.n_iter, model.n_used,
        model.sample_rows, model.history);
}

template <class Visit, core::Like<AssignmentSums> T>
void each_field(Visit& visit, T& sums) {
  visit(sums.n_fitted, sums.n_holdout, sums.inertia_fitted, sums.inertia_holdout);
}

template <class Visit, core::Like<QuartileModel> T>
void each_field(Visit& visit, T& model) {
  visit(model.d, model.edges);
}

template <class Visit, core::Like<ConditionModel> T>
void each_field(Visit& visit, T& model) {
  visit(model.pca, model.kmeans, model.train_sums, model.quartile, model.n_total);
}

namespace {

/// Values of a matrix of the stated shape, and no others: who uses a model goes by its shape.
template <class T>
void check_matrix(const std::vector<T>& values, std::int64_t rows, std::int64_t columns) {
  if (std::ssize(values) != core::checked_mul(rows, columns, "a model", ErrorKind::kStorage)) {
    throw Error(ErrorKind::kStorage, "holds a model of another shape than it states");
  }
}

void check(const PcaModel& model) {
  check_matrix(model.mean, model.dim, 1);
  check_matrix(model.components, model.k, model.dim);
  check_matrix(model.explained_variance, model.k, 1);
  check_matrix(model.explained_variance_ratio, model.k, 1);
}

}  // namespace

void put(core::ByteSink& sink, const PcaModel& model) {
  core::write_fields(sink, model);
}

PcaModel get_pca(core::ByteSource& source) {
  auto model = core::read_fields<PcaModel>(source);
  check(model);
  return model;
}

void put(core::ByteSink& sink, const ConditionModel& model) {
  core::write_fields(sink, model);
}

ConditionModel get_condition(core::ByteSource& source) {
  auto model = core::read_fields<ConditionModel>(source);
  if (model.pca) check(*model.pca);
  if (model.kmeans) {
    check_matrix(model.kmeans->centroids, model.kmeans->k, model.kmeans->d);
    check_matrix(model.kmeans->counts, model.kmeans->k, 1);
  }
  if (model.quartile) check_matrix(model.quartile->edges, model.quartile->d, 3);
  return model;
}

}  // namespace phase0::models
