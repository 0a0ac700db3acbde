#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/assign.h"
#include "models/kmeans.h"
#include "models/moments.h"
#include "models/pca.h"
#include "models/quartile.h"
#include "store/h5_reader.h"
#include "store/h5_writer.h"

namespace phase0::models {

/// Mean and scale of the train deltas.
struct Normaliser {
  std::vector<double> mu;     ///< [D]
  std::vector<double> sigma;  ///< [D], population (ddof 0), at least 1e-6
  std::int64_t n_samples = 0;
};
Normaliser make_normaliser(const Moments& moments);

/// One fitted condition at one lag.
struct ConditionModel {
  std::optional<PcaModel> pca;
  std::optional<KMeansModel> kmeans;
  std::optional<AssignmentSums> train_sums;  ///< of k-means, over all train rows by hold-out flag
  std::optional<QuartileModel> quartile;
  std::int64_t n_total = 0;  ///< train rows
};

/// models.h5: layout in data/FORMAT.md.
void begin_models(store::H5Writer& file);
void save_normaliser(store::H5Writer& file, std::int64_t lag, const Normaliser& normaliser);
void save_condition(store::H5Writer& file, std::int64_t lag, const std::string& condition,
                    const ConditionModel& model);

/// Reads what analyze needs. Throws Error (kStorage) for a file of another kind or version.
class ModelFile {
 public:
  explicit ModelFile(const std::string& path);
  Normaliser normaliser(std::int64_t lag) const;
  /// Explained variance of the PCA of a condition, empty when it has none.
  std::vector<PcaComponent> pca(std::int64_t lag, const std::string& condition) const;
  std::vector<KMeansIteration> kmeans_history(std::int64_t lag, const std::string& condition) const;
  /// Possible ids of a condition.
  std::int64_t n_clusters(std::int64_t lag, const std::string& condition) const;

 private:
  store::H5Reader file_;
};

}  // namespace phase0::models
