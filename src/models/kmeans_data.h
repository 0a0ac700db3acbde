#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/random.h"
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

/// A centroid of a restart that is seeded: a row of its lane, and where the random numbers stood behind it.
struct SeedingStep {
  std::int64_t row = 0;
  core::Random random{0};
};
template <class Visit, core::Like<SeedingStep> T>
void each_field(Visit& visit, T& step) {
  visit(step.row, step.random);
}

/// How far the seeding of a restart has come.
using SeedingRun = std::vector<SeedingStep>;

/// Restarts of a fit that are to be seeded, on the rows of its lane.
struct SeedingLane {
  const KMeansData& data;
  std::uint64_t seed = 0;
  std::int64_t first_restart = 0;
  /// One for each restart. All lanes go on behind the centroid that all of them have.
  std::vector<SeedingRun>& runs;
};

/// Start centroids of all restarts of all lanes, [restarts, k, d], by greedy k-means++ in lockstep: 2 (k - 1)
/// + 1 scans of `rows`, whose lane i has the rows of lanes[i].data. Restart r of a lane depends on its data
/// and (seed, r) alone. `chosen` is called behind every centroid, with lanes[i].runs to go on from.
std::vector<float> seed_kmeans(const data::FeatureSource& rows, std::span<const SeedingLane> lanes,
                               std::int64_t k, const std::string& scratch_folder, core::Execution& execution,
                               const std::string& label, const std::function<void()>& chosen);

/// Memory of seeding `restarts` runs together, over all lanes of the rows.
core::ScanNeed seeding_need(const data::SourceShape& rows, std::int64_t k, std::int64_t restarts);

}  // namespace phase0::models
