#pragma once

#include <cstdint>
#include <vector>

#include "analysis/clusters.h"

namespace phase0::analysis {

/// Bytes of the counters while clusters are counted.
std::int64_t counting_bytes(const std::vector<CellInput>& cells);

/// Bytes of cluster tables, sums and result rows that are held while and after the deltas are scanned.
std::int64_t held_bytes(const AnalysisInput& input, const std::vector<ClusterTable>& tables,
                        std::size_t n_slices);

}  // namespace phase0::analysis
