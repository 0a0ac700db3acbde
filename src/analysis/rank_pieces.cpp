#include "analysis/rank_pieces.h"

#include <algorithm>

namespace phase0::analysis {
namespace {

/// Puts one cell's clusters together from pieces that are given in order.
class CellReduction {
 public:
  CellReduction(const std::vector<std::int32_t>& ends, std::size_t n_groups)
      : ends_(ends), clusters_(n_groups), groups_(n_groups) {
    close(0);
  }

  /// The sums of the next piece, [group].
  void add(std::int32_t piece, std::span<const TileSums> sums) {
    if (next_ == ends_.size()) return;  // beyond this cell's clusters
    for (std::size_t g = 0; g < sums.size(); ++g) clusters_[g].add(sums[g]);
    close(piece + 1);
  }
  const std::vector<Reduction>& groups() const { return groups_; }

 private:
  /// Takes in the clusters that end here.
  void close(std::int32_t end) {
    for (; next_ < ends_.size() && ends_[next_] == end; ++next_) {
      for (std::size_t g = 0; g < groups_.size(); ++g) {
        groups_[g].add(clusters_[g]);
        clusters_[g] = {};
      }
    }
  }

  const std::vector<std::int32_t>& ends_;
  std::size_t next_ = 0;            ///< the cluster being put together
  std::vector<TileSums> clusters_;  ///< [group], of its pieces so far
  std::vector<Reduction> groups_;
};

/// Where each cluster ends on the axis.
std::vector<std::int64_t> cluster_ends(const std::vector<std::int64_t>& counts) {
  std::vector<std::int64_t> ends;
  ends.reserve(counts.size());
  std::int64_t end = 0;
  for (const std::int64_t count : counts) ends.push_back(end += count);
  return ends;
}

}  // namespace

RankPieces::RankPieces(const std::vector<std::vector<std::int64_t>>& counts) {
  std::vector<std::int64_t> cuts = {0};
  for (const auto& of_cell : counts) {
    const auto ends = cluster_ends(of_cell);
    cuts.insert(cuts.end(), ends.begin(), ends.end());
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (std::size_t i = 1; i < cuts.size(); ++i) counts_.push_back(cuts[i] - cuts[i - 1]);
  for (const auto& of_cell : counts) {
    auto& ends = ends_.emplace_back();
    ends.reserve(of_cell.size());
    auto cut = cuts.begin();
    for (const std::int64_t end : cluster_ends(of_cell)) {
      cut = std::lower_bound(cut, cuts.end(), end);
      ends.push_back(static_cast<std::int32_t>(cut - cuts.begin()));
    }
  }
}

std::int64_t RankPieces::bytes(std::int64_t n_clusters) {
  // Counts by cluster, cuts and pieces, each twice for the growth of vectors; ends.
  return n_clusters * (2 * 3 * 8 + 4);
}

std::vector<GroupSums> reduce_pieces(const RankPieces& pieces, const TileAccumulator& sums,
                                     std::span<const std::vector<std::int32_t>> groups) {
  std::vector<CellReduction> cells;
  for (std::int64_t cell = 0; cell < pieces.n_cells(); ++cell) {
    cells.emplace_back(pieces.ends(cell), groups.size());
  }
  std::vector<TileSums> piece_sums(groups.size());
  for (std::int32_t piece = 0; piece < pieces.size(); ++piece) {
    for (std::size_t g = 0; g < groups.size(); ++g) piece_sums[g] = sums.pool(piece, groups[g]);
    for (CellReduction& cell : cells) cell.add(piece, piece_sums);
  }
  std::vector<GroupSums> result;
  for (const CellReduction& cell : cells) {
    for (const Reduction& group : cell.groups()) result.push_back(group.result());
  }
  return result;
}

}  // namespace phase0::analysis
