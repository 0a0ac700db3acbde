#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/feature_source.h"

namespace phase0::models {

/// Quartile edges of every score dimension.
struct QuartileModel {
  std::int64_t d = 0;
  std::vector<float>
      edges;  ///< [d, 3]: exact 25, 50, 75 % percentiles (linear interpolation), rounded to float32
  std::int64_t n_clusters() const { return std::int64_t{1} << (2 * d); }  ///< 4^d
};

/// Two scans over the scores [N, d], d <= 15, N >= 1. Exact whatever the budget; memory does not depend on N.
QuartileModel fit_quartiles(const data::FeatureSource& scores, core::Execution& execution,
                            const std::string& task);

/// sum_i digit_i 4^i, where digit_i is the number of edges of dimension i that are <= the score.
std::int32_t quartile_id(const QuartileModel& model, const float* scores);

/// Memory of a fit.
core::ScanNeed quartile_need(const data::SourceShape& scores);

}  // namespace phase0::models
