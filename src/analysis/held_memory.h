#pragma once

#include <cstdint>
#include <vector>

#include "analysis/clusters.h"
#include "analysis/scan_plan.h"

namespace phase0::analysis {

/// Bytes of the counters while clusters are counted.
std::int64_t counting_bytes(const std::vector<CellInput>& cells);

/// What lasts from scan to scan, and what is made of it when they are done.
struct HeldBytes {
  std::int64_t sums = 0;     ///< cluster tables and sums
  std::int64_t results = 0;  ///< result rows, after the last scan
};
HeldBytes held_bytes(const AnalysisInput& input, const std::vector<ClusterTable>& tables,
                     std::size_t n_slices);

/// What the memory of an analysis depends on: bounds before anything is fitted, exact once the clusters are
/// counted.
struct AnalysisSizes {
  HeldBytes held;
  std::int64_t counting_bytes = 0;
  std::vector<ScanShape> splits;
};
/// `free_bytes` beside the sums that are held.
AnalysisMemory memory_of(const AnalysisSizes& sizes, int threads, std::int64_t free_bytes);

}  // namespace phase0::analysis
