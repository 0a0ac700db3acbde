#include "models/model_file.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace phase0::models {
namespace {

constexpr double kMinSigma = 1e-6;

std::string lag_group(std::int64_t lag) {
  return "/lag" + std::to_string(lag);
}
std::string group(std::int64_t lag, const std::string& condition) {
  return lag_group(lag) + "/" + condition;
}

void save_pca(store::H5Writer& file, const std::string& at, const PcaModel& pca) {
  file.write(at + "/mean", pca.mean, {pca.dim});
  file.write(at + "/components", pca.components, {pca.k, pca.dim});
  file.write(at + "/explained_variance", pca.explained_variance, {pca.k});
  file.write(at + "/explained_variance_ratio", pca.explained_variance_ratio, {pca.k});
  file.attribute(at, "method", pca.method);
  file.attribute(at, "n_samples", pca.n_samples);
}

/// The objective of every iteration as columns.
void save_history(store::H5Writer& file, const std::string& at, const std::vector<KMeansIteration>& history) {
  std::vector<std::string> phase;
  std::vector<std::string> stopped;
  std::vector<std::int64_t> counts;
  std::vector<double> values;
  for (const KMeansIteration& row : history) {
    phase.push_back(row.phase);
    stopped.push_back(row.stopped);
    counts.insert(counts.end(), {row.restart, row.iteration, row.n_rows, row.n_reseeded, row.best ? 1 : 0});
    values.insert(values.end(), {row.inertia, row.shift});
  }
  const std::int64_t n = std::ssize(history);
  file.write(at + "/phase", phase);
  file.write(at + "/stopped", stopped);
  file.write(at + "/counts", counts, {n, 5});
  file.write(at + "/values", values, {n, 2});
}

void save_kmeans(store::H5Writer& file, const std::string& at, const ConditionModel& model) {
  const KMeansModel& kmeans = *model.kmeans;
  file.write(at + "/centroids", kmeans.centroids, {kmeans.k, kmeans.d});
  file.write(at + "/counts", kmeans.counts, {kmeans.k});
  file.attribute(at, "inertia", kmeans.inertia);
  file.attribute(at, "n_iter", kmeans.n_iter);
  file.attribute(at, "n_used", kmeans.n_used);
  file.attribute(at, "n_total", model.n_total);
  file.attribute(at, "sample_rows", kmeans.sample_rows);
  const AssignmentSums& sums = model.train_sums.value();
  if (sums.n_fitted > 0) {
    file.attribute(at, "inertia_per_row", sums.inertia_fitted / static_cast<double>(sums.n_fitted));
  }
  if (sums.n_holdout > 0) {
    file.attribute(at, "holdout_inertia_per_row", sums.inertia_holdout / static_cast<double>(sums.n_holdout));
  }
  save_history(file, at + "/history", kmeans.history);
}

}  // namespace

Normaliser make_normaliser(const Moments& moments) {
  Normaliser normaliser{moments.mean(), moments.variance(0), moments.n()};
  for (double& sigma : normaliser.sigma) sigma = std::max(std::sqrt(sigma), kMinSigma);
  return normaliser;
}

void begin_models(store::H5Writer& file) {
  file.attribute("/", "format", std::string("phase0-models"));
  file.attribute("/", "version", std::int64_t{1});
}

void save_normaliser(store::H5Writer& file, std::int64_t lag, const Normaliser& normaliser) {
  const std::string at = lag_group(lag) + "/norm";
  file.write(at + "/mu", normaliser.mu, {std::ssize(normaliser.mu)});
  file.write(at + "/sigma", normaliser.sigma, {std::ssize(normaliser.sigma)});
  file.attribute(at, "n_samples", normaliser.n_samples);
}

void save_condition(store::H5Writer& file, std::int64_t lag, const std::string& condition,
                    const ConditionModel& model) {
  const std::string at = group(lag, condition);
  if (model.pca) save_pca(file, at + "/pca", *model.pca);
  if (model.kmeans) save_kmeans(file, at + "/kmeans", model);
  if (model.quartile) file.write(at + "/bins/edges", model.quartile->edges, {model.quartile->d, 3});
}

ModelFile::ModelFile(const std::string& path) : file_(path, ErrorKind::kStorage) {
  if (!file_.has_attribute("/", "format") || file_.read_string("/", "format") != "phase0-models" ||
      file_.read_int("/", "version") != 1) {
    throw Error(ErrorKind::kStorage, "not a models file of this version; run fit again", {path});
  }
}

Normaliser ModelFile::normaliser(std::int64_t lag) const {
  const std::string at = lag_group(lag) + "/norm";
  return {file_.read_double_dataset(at + "/mu"), file_.read_double_dataset(at + "/sigma"),
          file_.read_int(at, "n_samples")};
}

std::vector<PcaComponent> ModelFile::pca(std::int64_t lag, const std::string& condition) const {
  const std::string at = group(lag, condition) + "/pca";
  std::vector<PcaComponent> rows;
  if (!file_.exists(at)) return rows;
  const auto variance = file_.read_double_dataset(at + "/explained_variance");
  const auto ratio = file_.read_double_dataset(at + "/explained_variance_ratio");
  double cumulative = 0;
  for (std::size_t i = 0; i < variance.size(); ++i) {
    cumulative += ratio[i];
    rows.push_back({condition, lag, static_cast<std::int64_t>(i), variance[i], ratio[i], cumulative});
  }
  return rows;
}

std::vector<KMeansIteration> ModelFile::kmeans_history(std::int64_t lag, const std::string& condition) const {
  const std::string at = group(lag, condition) + "/kmeans/history";
  std::vector<KMeansIteration> rows;
  if (!file_.exists(group(lag, condition) + "/kmeans")) return rows;
  const auto phase = file_.read_string_dataset(at + "/phase");
  const auto stopped = file_.read_string_dataset(at + "/stopped");
  const auto counts = file_.read_int_dataset(at + "/counts");
  const auto values = file_.read_double_dataset(at + "/values");
  for (std::size_t i = 0; i < phase.size(); ++i) {
    const std::int64_t* count = counts.data() + 5 * i;
    KMeansIteration row;
    row.condition = condition;
    row.lag = lag;
    row.phase = phase[i];
    row.restart = count[0];
    row.iteration = count[1];
    row.n_rows = count[2];
    row.inertia = values[2 * i];
    row.shift = values[2 * i + 1];
    row.n_reseeded = count[3];
    row.stopped = stopped[i];
    row.best = count[4] != 0;
    rows.push_back(row);
  }
  return rows;
}

std::int64_t ModelFile::n_clusters(std::int64_t lag, const std::string& condition) const {
  const std::string at = group(lag, condition);
  if (file_.exists(at + "/kmeans")) return file_.info(at + "/kmeans/centroids").shape.at(0);
  return std::int64_t{1} << (2 * file_.info(at + "/bins/edges").shape.at(0));
}

}  // namespace phase0::models
