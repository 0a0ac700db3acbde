#pragma once

#include <cstdint>
#include <vector>

#include "data/scan.h"
#include "linalg/nearest.h"
#include "models/cluster_sums.h"
#include "models/kmeans_data.h"

namespace phase0::models {

/// Gives each empty cluster of `sums` (one run) the row that is farthest from its centroid, of a cluster that
/// can spare one; rows that lie on their centroid stay. Returns how many were moved. One scan in `room`, with
/// a workspace for each of its workers.
std::int64_t reseed_empty(const KMeansData& data, const std::vector<float>& centroids, ClusterSums& sums,
                          data::ScanRoom& room, std::vector<linalg::NearestCentroids::Workspace>& workspaces);

/// Memory that it takes for each block in flight.
std::int64_t reseeding_block_bytes(const data::SourceShape& rows, std::int64_t k);

}  // namespace phase0::models
