#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/analyze.h"

namespace phase0::analysis {

/// A cluster with at least one row in train or eval.
struct ClusterCount {
  std::int32_t id = 0;
  std::int32_t effective = -1;  ///< dense number among the effective clusters, or -1
  std::int64_t train = 0;
  std::int64_t eval = 0;
};

/// Sizes of one cell's clusters and which of them are effective: at least `min_size` train rows. Numbers the
/// effective ones densely in the order of their ids. Immutable, thread-safe.
class ClusterTable {
 public:
  ClusterTable() = default;
  /// Reads every id once. Throws Error (kData) for an id outside [0, n_clusters).
  ClusterTable(const CellInput& cell, std::int64_t min_size);

  std::int64_t n_effective() const { return static_cast<std::int64_t>(effective_ids_.size()); }
  /// Dense number of an id, or -1 when it is not effective.
  std::int32_t effective(std::int32_t id) const;
  /// Ascending by id.
  const std::vector<ClusterCount>& occupied() const { return occupied_; }
  /// Rows of each effective cluster.
  std::vector<std::int64_t> effective_counts(data::Split split) const;
  /// Of the train rows.
  ClusterStats stats(std::int64_t n_clusters) const;

 private:
  std::vector<ClusterCount> occupied_;
  std::vector<std::int32_t> effective_ids_;  ///< ascending
  std::vector<std::int32_t> dense_;          ///< by id; empty when there are too many possible ids
};

/// Upper bound of the bytes of a table with so many occupied clusters.
std::int64_t cluster_table_bytes(std::int64_t n_clusters, std::int64_t n_occupied);
/// What counting takes besides, for one cell.
std::int64_t id_counter_bytes(std::int64_t n_clusters, std::int64_t n_rows);

/// Ids that are possible under a condition.
std::int64_t possible_clusters(const ConditionOptions& condition);

}  // namespace phase0::analysis
