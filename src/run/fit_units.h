#pragma once

#include <string>

#include "core/unit_store.h"
#include "models/assign.h"
#include "models/model_file.h"
#include "phase0/options.h"
#include "run/lag_groups.h"

namespace phase0::run {

/// The parts of a fit that are kept, each with a key of just what it depends on: another condition, or
/// another setting of one, leaves the units of the others as they are.
class FitUnits {
 public:
  /// `rows_key` stands for the rows; `kernels` and, for a PCA, how the rows are stored for what the last bits
  /// depend on.
  FitUnits(const Options& options, const std::string& rows_key, const std::string& kernels, Storage storage);

  core::UnitId normaliser() const;
  /// Models of all lags of a group, with the most components that any condition wants.
  core::UnitId pca(const LagGroup& group) const;
  /// Of a PCA's scan under way.
  core::UnitId pca_progress(const LagGroup& group) const;
  /// Model, ids and distances of a condition at a lag. `group` is that of the lag: the last bits of its PCA
  /// depend on all lags of it.
  core::UnitId cell(std::int64_t lag, const ConditionOptions& condition, const LagGroup& group) const;
  /// Of its k-means under way.
  core::UnitId kmeans_progress(std::int64_t lag, const ConditionOptions& condition,
                               const LagGroup& group) const;

 private:
  const Options& options_;
  std::string base_;
  Storage storage_;
};

/// Where the ids and distances of a condition at a lag lie.
struct CellOut {
  models::AssignmentOut train, eval;
};
/// Whether it is kept.
bool save_cell(core::UnitStore& store, const core::UnitId& unit, const models::ConditionModel& model,
               const CellOut& out);
/// What a model is fitted on.
struct CellShape {
  std::int64_t window = 0, dim = 0;  ///< frames of a context, values of a frame
};
/// Whether a model of the condition was there; if so the ids and distances are in place.
bool load_cell(core::UnitStore& store, const core::UnitId& unit, const ConditionOptions& condition,
               const CellShape& shape, models::ConditionModel& model, CellOut& out);

}  // namespace phase0::run
