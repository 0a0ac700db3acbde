#include "models/model_units.h"

#include "core/checked.h"
#include "phase0/error.h"

namespace phase0::models {
namespace {

using core::ByteSink;
using core::ByteSource;

/// Values of a matrix of the stated shape, and no others: who uses a model goes by its shape.
template <class T>
std::vector<T> get_matrix(ByteSource& source, std::int64_t rows, std::int64_t columns) {
  std::vector<T> values = source.get_all<T>();
  if (std::ssize(values) != core::checked_mul(rows, columns, "a model", ErrorKind::kStorage)) {
    throw Error(ErrorKind::kStorage, "holds a model of another shape than it states");
  }
  return values;
}

void put(ByteSink& sink, const KMeansModel& model) {
  sink.put(model.k);
  sink.put(model.d);
  sink.put_all(model.centroids);
  sink.put_all(model.counts);
  sink.put(model.inertia);
  sink.put(model.n_iter);
  sink.put(model.n_used);
  sink.put(model.sample_rows);
  models::put(sink, model.history);
}

KMeansModel get_kmeans(ByteSource& source) {
  KMeansModel model;
  model.k = source.get<std::int64_t>();
  model.d = source.get<std::int64_t>();
  model.centroids = get_matrix<float>(source, model.k, model.d);
  model.counts = get_matrix<std::int64_t>(source, model.k, 1);
  model.inertia = source.get<double>();
  model.n_iter = source.get<std::int64_t>();
  model.n_used = source.get<std::int64_t>();
  model.sample_rows = source.get<std::int64_t>();
  model.history = get_history(source);
  return model;
}

void put(ByteSink& sink, const AssignmentSums& sums) {
  sink.put(sums.n_fitted);
  sink.put(sums.n_holdout);
  sink.put(sums.inertia_fitted);
  sink.put(sums.inertia_holdout);
}

AssignmentSums get_sums(ByteSource& source) {
  AssignmentSums sums;
  sums.n_fitted = source.get<std::int64_t>();
  sums.n_holdout = source.get<std::int64_t>();
  sums.inertia_fitted = source.get<double>();
  sums.inertia_holdout = source.get<double>();
  return sums;
}

void put(ByteSink& sink, const QuartileModel& model) {
  sink.put(model.d);
  sink.put_all(model.edges);
}

QuartileModel get_quartile(ByteSource& source) {
  QuartileModel model;
  model.d = source.get<std::int64_t>();
  model.edges = get_matrix<float>(source, model.d, 3);
  return model;
}

/// Two empty texts, six numbers of 8 bytes and a flag.
constexpr std::int64_t kLeastIterationBytes = 8 * 8 + 1;

template <class T>
void put_if(ByteSink& sink, const std::optional<T>& part) {
  sink.put(part.has_value());
  if (part) put(sink, *part);
}

template <class T>
std::optional<T> get_if(ByteSource& source, T (*get)(ByteSource&)) {
  if (!source.get<bool>()) return std::nullopt;
  return get(source);
}

}  // namespace

void put(ByteSink& sink, const PcaModel& model) {
  sink.put(model.k);
  sink.put(model.dim);
  sink.put(model.n_samples);
  sink.put_text(model.method);
  sink.put_all(model.mean);
  sink.put_all(model.components);
  sink.put_all(model.explained_variance);
  sink.put_all(model.explained_variance_ratio);
}

PcaModel get_pca(ByteSource& source) {
  PcaModel model;
  model.k = source.get<std::int64_t>();
  model.dim = source.get<std::int64_t>();
  model.n_samples = source.get<std::int64_t>();
  model.method = source.get_text();
  model.mean = get_matrix<double>(source, model.dim, 1);
  model.components = get_matrix<double>(source, model.k, model.dim);
  model.explained_variance = get_matrix<double>(source, model.k, 1);
  model.explained_variance_ratio = get_matrix<double>(source, model.k, 1);
  return model;
}

void put(ByteSink& sink, const std::vector<KMeansIteration>& history) {
  sink.put(std::ssize(history));
  for (const KMeansIteration& iteration : history) {
    sink.put_text(iteration.phase);
    sink.put(iteration.restart);
    sink.put(iteration.iteration);
    sink.put(iteration.n_rows);
    sink.put(iteration.inertia);
    sink.put(iteration.shift);
    sink.put(iteration.n_reseeded);
    sink.put_text(iteration.stopped);
    sink.put(iteration.best);
  }
}

std::vector<KMeansIteration> get_history(ByteSource& source) {
  std::vector<KMeansIteration> history;
  for (auto n = source.get_count(kLeastIterationBytes); n > 0; --n) {
    KMeansIteration& iteration = history.emplace_back();
    iteration.phase = source.get_text();
    iteration.restart = source.get<std::int64_t>();
    iteration.iteration = source.get<std::int64_t>();
    iteration.n_rows = source.get<std::int64_t>();
    iteration.inertia = source.get<double>();
    iteration.shift = source.get<double>();
    iteration.n_reseeded = source.get<std::int64_t>();
    iteration.stopped = source.get_text();
    iteration.best = source.get<bool>();
  }
  return history;
}

void put(ByteSink& sink, const ConditionModel& model) {
  put_if(sink, model.pca);
  put_if(sink, model.kmeans);
  put_if(sink, model.train_sums);
  put_if(sink, model.quartile);
  sink.put(model.n_total);
}

ConditionModel get_condition(ByteSource& source) {
  ConditionModel model;
  model.pca = get_if(source, get_pca);
  model.kmeans = get_if(source, get_kmeans);
  model.train_sums = get_if(source, get_sums);
  model.quartile = get_if(source, get_quartile);
  model.n_total = source.get<std::int64_t>();
  return model;
}

}  // namespace phase0::models
