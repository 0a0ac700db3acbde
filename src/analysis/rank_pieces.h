#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/accumulator.h"

namespace phase0::analysis {

/// How all cells of a split share its permutations. A permutation gives each row a random rank. Every cell
/// lays its effective clusters, ascending, one after the other on the axis of ranks, its other rows last; the
/// permuted id of a row is the cluster that its rank lies in. So for each cell by itself the ids are a
/// uniformly random permutation of the assigned ones, and which other cells there are does not matter to
/// them. The axis is cut wherever a cluster of any cell ends: sums are taken once per piece, and a cluster of
/// a cell is a run of pieces. Immutable.
class RankPieces {
 public:
  RankPieces() = default;
  /// counts[cell][k]: rows of effective cluster k in the split.
  explicit RankPieces(const std::vector<std::vector<std::int64_t>>& counts);

  std::int64_t size() const { return static_cast<std::int64_t>(counts_.size()); }
  std::int64_t n_cells() const { return static_cast<std::int64_t>(ends_.size()); }
  /// Rows of each piece, at least one. Ranks beyond the last piece are in no cell's clusters.
  const std::vector<std::int64_t>& counts() const { return counts_; }
  /// Cluster k of the cell is made of the pieces from ends[k - 1] (0 for the first) to before ends[k].
  const std::vector<std::int32_t>& ends(std::int64_t cell) const {
    return ends_[static_cast<std::size_t>(cell)];
  }
  /// Bytes, when it is made included, for so many effective clusters of all cells.
  static std::int64_t bytes(std::int64_t n_clusters);

 private:
  std::vector<std::int64_t> counts_;
  std::vector<std::vector<std::int32_t>> ends_;  ///< [cell][effective cluster]
};

/// The sums of squares of every cell, [cell * groups + group], from the accumulated sums of the pieces.
std::vector<GroupSums> reduce_pieces(const RankPieces& pieces, const TileAccumulator& sums,
                                     std::span<const std::vector<std::int32_t>> groups);

}  // namespace phase0::analysis
