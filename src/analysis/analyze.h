#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/execution.h"
#include "data/feature_source.h"
#include "data/sample_index.h"
#include "phase0/options.h"
#include "phase0/results.h"
#include "store/mapped.h"

namespace phase0::analysis {

/// One split's rows.
struct SplitInput {
  const data::SampleIndex* index = nullptr;
  const data::FeatureSource* delta = nullptr;  ///< [N, D] float32, raw (not normalised)
  store::MappedDataset high_energy;            ///< uint8 [N]; empty when no slice needs it
};

/// Cluster ids of one condition at one lag.
struct Assignment {
  store::MappedDataset cluster;   ///< int32 [N]
  store::MappedDataset distance;  ///< float32 [N], >= 0
};

struct CellInput {
  ConditionOptions condition;
  std::int64_t lag = 0;
  std::int64_t n_clusters = 0;  ///< ids are 0 .. n_clusters - 1
  Assignment train;
  Assignment eval;
};

struct AnalysisInput {
  SplitInput train;
  SplitInput eval;
  std::vector<double> sigma;  ///< [D], of the train deltas, >= 1e-6
  std::vector<std::string> speaker_names;
  std::vector<CellInput> cells;  ///< condition-major, lags inside, as in the configuration
  std::string key;               ///< fingerprint of all of this, for sums that are kept for a later start
};

/// Memory that an analysis needs at least, to do all dimensions in one scan of each split, and that it takes
/// of what is free.
struct AnalysisMemory {
  std::int64_t minimum_bytes = 0;
  std::int64_t one_scan_bytes = 0;
  std::int64_t planned_bytes = 0;
  std::int64_t n_scans = 1;  ///< of a split, within the planned bytes
};
/// An upper bound from what is known before anything is fitted; `max_speakers`: speakers of a split at most
/// (negative: unknown, then as many as could have enough rows to be reported).
AnalysisMemory analysis_memory(const Options& options, std::int64_t dim, std::int64_t n_train,
                               std::int64_t n_eval, int threads, std::int64_t free_bytes,
                               std::int64_t max_speakers = -1);

/// An analysis whose clusters are counted, so that its memory is known exactly.
class Analysis {
 public:
  /// Counts the clusters. Empty slices are left out with a warning to the observer. Throws Error (kData,
  /// kMemory). The arguments must outlive it.
  Analysis(const Options& options, const AnalysisInput& input, core::Execution& execution);
  ~Analysis();
  Analysis(const Analysis&) = delete;
  Analysis& operator=(const Analysis&) = delete;

  /// With the memory that is free now.
  AnalysisMemory memory() const;
  /// As analyze().
  AnalysisResult run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Every metric but the PCA and k-means rows, which the caller adds. Empty slices are left out with a warning
/// to the observer. Uses what the memory budget has free: when the accumulators of all dimensions do not fit,
/// the dimensions are done in several scans. Throws Error (kMemory) when a single dimension does not fit.
AnalysisResult analyze(const Options& options, const AnalysisInput& input, core::Execution& execution);

/// The PASS or FAIL of each condition (slice `all`, lag 1, see README.md), from the cells.
Decision decide(const Options& options, const std::vector<CellMetrics>& cells);

}  // namespace phase0::analysis
