#include "analysis/rank_pieces.h"

#include <gtest/gtest.h>

#include <map>

#include "analysis/label_sampler.h"
#include "analysis/streams.h"

namespace phase0::analysis {
namespace {

using Counts = std::vector<std::vector<std::int64_t>>;

std::vector<std::int64_t> cluster_sizes(const RankPieces& pieces, std::int64_t cell) {
  std::vector<std::int64_t> sizes;
  std::int32_t piece = 0;
  for (const std::int32_t end : pieces.ends(cell)) {
    std::int64_t size = 0;
    for (; piece < end; ++piece) size += pieces.counts()[static_cast<std::size_t>(piece)];
    sizes.push_back(size);
  }
  return sizes;
}

/// The cell's clusters that rows get in turn, -1 outside them.
std::vector<std::int32_t> draw_labels(const RankPieces& pieces, std::int64_t cell, std::int64_t n_rows) {
  LabelSampler sampler = permutation_sampler(7, "train", 3, pieces.counts(), n_rows);
  const auto& ends = pieces.ends(cell);
  std::vector<std::int32_t> labels;
  while (sampler.remaining() > 0) {
    const std::int32_t piece = sampler.next();
    const auto after = std::upper_bound(ends.begin(), ends.end(), piece);
    labels.push_back(piece < 0 || after == ends.end() ? -1 : static_cast<std::int32_t>(after - ends.begin()));
  }
  return labels;
}

TEST(RankPieces, ClustersAreRunsOfPieces) {
  const Counts counts = {{3, 5, 2}, {8, 1, 4}, {}, {0, 0, 6, 0, 1, 0}};
  const RankPieces pieces(counts);
  EXPECT_EQ(pieces.counts(), (std::vector<std::int64_t>{3, 3, 1, 1, 1, 1, 3}));  // cuts 3 6 7 8 9 10 13
  for (std::int64_t cell = 0; cell < 4; ++cell) {
    EXPECT_EQ(cluster_sizes(pieces, cell), counts[static_cast<std::size_t>(cell)]);
  }
}

TEST(RankPieces, OtherCellsDoNotChangeTheLabels) {
  const Counts counts = {{30, 50, 1, 20}, {80, 10, 40, 3}, {7, 120}};
  const RankPieces together(counts);
  for (std::size_t cell = 0; cell < counts.size(); ++cell) {
    const RankPieces alone(Counts{counts[cell]});
    const auto labels = draw_labels(alone, 0, 150);
    ASSERT_EQ(labels.size(), 150U);
    EXPECT_EQ(labels, draw_labels(together, static_cast<std::int64_t>(cell), 150));
    std::map<std::int32_t, std::int64_t> seen;
    for (const std::int32_t label : labels) ++seen[label];
    for (std::size_t k = 0; k < counts[cell].size(); ++k) {
      EXPECT_EQ(seen[static_cast<std::int32_t>(k)], counts[cell][k]);
    }
  }
}

TEST(RankPieces, PiecesReduceToEveryCellsClusters) {
  const Counts counts = {{3, 5, 2}, {0, 8, 0, 1, 4, 0}, {}, {0}};
  const RankPieces pieces(counts);
  const std::vector<std::vector<std::int32_t>> groups = {{0, 1}, {1}};
  // Row i has rank i and lies in plane i % 2; cells' own accumulators take the same rows by cluster.
  TileAccumulator by_piece(pieces.size(), 2, false);
  std::vector<TileAccumulator> by_cluster;
  for (const auto& of_cell : counts) by_cluster.emplace_back(std::ssize(of_cell), 2, false);
  core::Random random(2);
  for (std::int64_t rank = 0; rank < 13; ++rank) {
    TileRow z;
    for (double& value : z) value = random.normal();
    const double norm = linalg::kernels().tile_norm(z.data());
    const auto slot_of = [&](const std::vector<std::int64_t>& sizes) {
      std::int32_t k = 0;
      std::int64_t end = 0;
      for (; k < std::ssize(sizes) && (end += sizes[static_cast<std::size_t>(k)]) <= rank;) ++k;
      return k == std::ssize(sizes) ? -1 : static_cast<std::int32_t>(2 * k + rank % 2);
    };
    by_piece.add(std::vector<Entry>{{0, slot_of(pieces.counts())}}, z.data(), &norm);
    for (std::size_t cell = 0; cell < counts.size(); ++cell) {
      const std::int32_t slot = slot_of(counts[cell]);
      if (slot >= 0) by_cluster[cell].add(std::vector<Entry>{{0, slot}}, z.data(), &norm);
    }
  }
  const auto reduced = reduce_pieces(pieces, by_piece, groups);
  ASSERT_EQ(reduced.size(), counts.size() * groups.size());
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    const std::size_t cell = i / groups.size();
    std::vector<std::int32_t> all(counts[cell].size());
    for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<std::int32_t>(k);
    const GroupSums expected = by_cluster[cell].reduce(all, groups[i % groups.size()]);
    EXPECT_EQ(reduced[i].n_rows, expected.n_rows);
    EXPECT_EQ(reduced[i].n_clusters, expected.n_clusters);
    EXPECT_NEAR(reduced[i].raw, expected.raw, 1e-11);
    EXPECT_NEAR(reduced[i].within, expected.within, 1e-11);
    EXPECT_NEAR(reduced[i].total, expected.total, 1e-11);
  }
  EXPECT_EQ(reduced[0].n_rows, 10);
  EXPECT_EQ(reduced[2].n_clusters, 3);
  EXPECT_GT(reduced[1].within, 0);
}

}  // namespace
}  // namespace phase0::analysis
