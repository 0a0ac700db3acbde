#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "data/features_file.h"
#include "models/pca.h"
#include "run/fit_units.h"
#include "run/session.h"

namespace phase0::run {

/// Rows of one feature in both splits.
struct Features {
  std::unique_ptr<data::FeatureSource> train;
  std::unique_ptr<data::FeatureSource> eval;
  const data::FeatureSource& of(data::Split split) const {
    return split == data::Split::kTrain ? *train : *eval;
  }
};

/// A PCA of one lag and number of components, and the scores of all rows, in scratch files.
struct Components {
  models::PcaModel model;
  Features scores;
  std::vector<store::MappedDataset> scratch;  ///< what the scores lie in
};

/// The PCAs of a fit. One covariance serves all numbers of components of the lags of a group; it is computed
/// when the first of them is asked for, unless its unit is kept.
class FitPca {
 public:
  /// The arguments must outlive it.
  FitPca(Session& session, const data::Samples& samples, const FitUnits& units);

  /// Empty for a lag of a fit without PCA.
  const LagGroup& group_of(std::int64_t lag) const;
  const Components& components(std::int64_t lag, std::int64_t k);
  /// When all conditions of a lag are fitted. Throws Error (kStorage) when scores could not be kept on disk.
  void forget(std::int64_t lag);

 private:
  void fit(const LagGroup& group);
  std::vector<models::PcaModel> largest(const LagGroup& group, const models::PcaTask& task,
                                        const data::FeatureSource& train);
  void score(const LagGroup& group, const models::PcaTask& task, std::int64_t k, data::Split split,
             const data::FeatureSource& rows);

  Session& session_;
  const data::Samples& samples_;
  const FitUnits& units_;
  std::set<std::int64_t> dims_;
  std::vector<LagGroup> groups_;
  std::map<std::int64_t, std::map<std::int64_t, Components>> components_;  ///< [lag][k]
};

}  // namespace phase0::run
