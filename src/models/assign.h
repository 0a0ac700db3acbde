#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/feature_source.h"
#include "data/sample_index.h"
#include "models/quartile.h"
#include "store/mapped.h"

namespace phase0::models {

/// Where the ids of a split's rows go.
struct AssignmentOut {
  store::MappedDataset cluster;   ///< int32 [N]
  store::MappedDataset distance;  ///< float32 [N]
};

/// Sums of squared distances (float64, exact arithmetic on float32 values but for the summation), by hold-out
/// flag.
struct AssignmentSums {
  std::int64_t n_fitted = 0, n_holdout = 0;
  double inertia_fitted = 0, inertia_holdout = 0;
};

/// Nearest centroid and Euclidean distance of every row, written through the maps and released behind the
/// scan. One scan. `centroids` [k, d]; `index` gives the hold-out flags of the rows.
AssignmentSums assign_nearest(const std::vector<float>& centroids, std::int64_t k,
                              const std::vector<float>& shift, const data::FeatureSource& rows,
                              const data::SampleIndex& index, AssignmentOut out, core::Execution& execution,
                              const std::string& task);

/// Quartile ids; distances are 0. One scan.
void assign_quartiles(const QuartileModel& model, const data::FeatureSource& scores, AssignmentOut out,
                      core::Execution& execution, const std::string& task);

/// Memory of assign_nearest and of assign_quartiles.
core::ScanNeed assign_need(const data::SourceShape& rows, std::int64_t k);
core::ScanNeed assign_quartiles_need(const data::SourceShape& scores);

}  // namespace phase0::models
