#pragma once

#include <cstdint>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/feature_source.h"

namespace phase0::models {

/// The rows of a k-means fit with what every scan of them needs.
struct KMeansData {
  const data::FeatureSource& rows;
  /// [d], the mean rounded to float32, or where that is far from most rows a middle of them: products are
  /// taken on shifted rows
  std::vector<float> shift;
  double mean_variance = 0;   ///< mean over columns, ddof 0
  double sum_of_squares = 0;  ///< of the shifted rows
  double fixed_scale = 1;     ///< power of two of the fixed-point sums of shifted rows
};

/// One scan. Throws Error (kData) when a few rows lie so far from the others that sums of both lose the
/// digits of what the others differ by.
KMeansData prepare_kmeans(const data::FeatureSource& rows, core::Execution& execution,
                          const std::string& label);

/// Start centroids of `restarts` runs, [restarts, k, d], by greedy k-means++ in lockstep: 2 (k - 1) + 1
/// scans. Run r depends on (seed, r) alone.
std::vector<float> seed_kmeans(const KMeansData& data, std::int64_t k, std::int64_t first_restart,
                               std::int64_t restarts, std::uint64_t seed, const std::string& scratch_folder,
                               core::Execution& execution, const std::string& label);

/// Memory of seeding `restarts` runs together.
core::ScanNeed seeding_need(const data::SourceShape& rows, std::int64_t k, std::int64_t restarts);

}  // namespace phase0::models
