#pragma once

#include <cstdint>
#include <vector>

#include "analysis/clusters.h"
#include "analysis/scan_plan.h"

namespace phase0::analysis {

/// Bytes of the counters while clusters are counted.
std::int64_t counting_bytes(const std::vector<CellInput>& cells);

/// Bytes of cluster tables, sums and result rows that are held while and after the deltas are scanned.
std::int64_t held_bytes(const AnalysisInput& input, const std::vector<ClusterTable>& tables,
                        std::size_t n_slices);

/// What the memory of an analysis depends on: bounds before anything is fitted, exact once the clusters are
/// counted.
struct AnalysisSizes {
  std::int64_t held_bytes = 0;
  std::int64_t counting_bytes = 0;
  std::vector<ScanShape> splits;
};
/// `free_bytes` beside what is held.
AnalysisMemory memory_of(const AnalysisSizes& sizes, int threads, std::int64_t free_bytes);

}  // namespace phase0::analysis
