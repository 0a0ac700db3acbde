#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/clusters.h"
#include "analysis/problem.h"
#include "analysis/row_order.h"
#include "analysis/scan_plan.h"
#include "analysis/slices.h"
#include "core/random.h"

namespace phase0::analysis {
namespace {

using testing::mapped;
using testing::Problem;

TEST(ClusterTable, SparseIdsAreCountedLikeDenseOnes) {
  core::Random random(4);
  std::vector<std::int32_t> train;
  std::vector<std::int32_t> eval;
  for (int i = 0; i < 200000; ++i) {  // several rounds of the sparse counter
    train.push_back(static_cast<std::int32_t>(random.below(random.below(500) + 1) * 2000));
    if (i % 10 == 0) eval.push_back(static_cast<std::int32_t>(random.below(600) * 2000));
  }
  CellInput cell;
  cell.train.cluster = mapped(train);
  cell.eval.cluster = mapped(eval);
  cell.n_clusters = 1200000;  // beyond the dense limit
  const ClusterTable sparse(cell, 300);
  for (auto& id : train) id /= 2000;
  for (auto& id : eval) id /= 2000;
  cell.train.cluster = mapped(train);
  cell.eval.cluster = mapped(eval);
  cell.n_clusters = 600;
  const ClusterTable dense(cell, 300);

  ASSERT_EQ(dense.occupied().size(), sparse.occupied().size());
  ASSERT_GT(dense.n_effective(), 10);
  ASSERT_LT(dense.n_effective(), 600);
  EXPECT_EQ(dense.n_effective(), sparse.n_effective());
  std::int32_t next_effective = 0;
  for (std::size_t i = 0; i < dense.occupied().size(); ++i) {
    const ClusterCount& d = dense.occupied()[i];
    const ClusterCount& s = sparse.occupied()[i];
    EXPECT_EQ(d.id * 2000, s.id);
    EXPECT_EQ(d.train, std::count(train.begin(), train.end(), d.id));
    EXPECT_EQ(d.eval, std::count(eval.begin(), eval.end(), d.id));
    EXPECT_EQ(d.train, s.train);
    EXPECT_EQ(d.eval, s.eval);
    EXPECT_EQ(d.effective, d.train >= 300 ? next_effective++ : -1);
    EXPECT_EQ(dense.effective(d.id), d.effective);
    EXPECT_EQ(sparse.effective(s.id), d.effective);
    EXPECT_EQ(sparse.effective(s.id + 1), -1);
  }
}

TEST(ChunkReader, SpeakersInTurnHoweverItIsCut) {
  const Problem problem;
  const data::SampleIndex& index = problem.train.index;
  const SpeakerOrder order(index, 50);
  std::vector<std::int64_t> expected;
  for (std::int32_t speaker = 0; speaker < 6; ++speaker) {
    for (std::int64_t row = 0; row < index.n_rows(); ++row) {
      if (problem.train.speaker[static_cast<std::size_t>(row)] == speaker) expected.push_back(row);
    }
  }
  for (const auto& [chunk_rows, load_rows] : {std::pair{1, 1}, {3, 2}, {50, 7}, {100000, 128}}) {
    ChunkReader reader(order, chunk_rows, load_rows);
    std::vector<std::int64_t> by_segment;
    std::vector<std::int64_t> by_load;
    std::vector<std::int32_t> finished;
    Chunk chunk;
    while (reader.next(chunk)) {
      EXPECT_LE(chunk.n_rows, chunk_rows);
      for (const RowSegment& segment : chunk.segments) {
        for (std::int64_t i = 0; i < segment.n_rows; ++i) by_segment.push_back(segment.first_row + i);
      }
      for (const LoadRange& load : chunk.loads) {
        EXPECT_LE(load.n_rows, load_rows);
        for (std::int64_t i = 0; i < load.n_rows; ++i) by_load.push_back(load.first_row + i);
      }
      std::int64_t in_runs = 0;
      for (const SpeakerRun& run : chunk.speakers) {
        EXPECT_EQ(run.chunk_row, in_runs);
        in_runs += run.n_rows;
        if (run.ends) finished.push_back(run.slot);
      }
      EXPECT_EQ(in_runs, chunk.n_rows);
    }
    EXPECT_EQ(by_segment, expected);
    EXPECT_EQ(by_load, expected);
    EXPECT_EQ(finished, (std::vector<std::int32_t>{0, 1, 2, 3, 4, -1}));  // the last has too few rows
  }
  EXPECT_EQ(order.slot_speakers(), (std::vector<std::int32_t>{0, 1, 2, 3, 4}));
}

/// Planes put together must contain each row of a slice exactly once and no other row.
void check_planes(const SliceSet& slices, const std::vector<MaskCount>& counts, const PlaneMap& planes) {
  for (const MaskCount& count : counts) {
    const auto own = planes.planes_of(count.mask);
    for (std::size_t slice = 0; slice < slices.size(); ++slice) {
      const auto& of_slice = planes.planes_by_slice()[slice];
      const auto times = std::count_if(own.begin(), own.end(), [&](std::int32_t plane) {
        return std::find(of_slice.begin(), of_slice.end(), plane) != of_slice.end();
      });
      EXPECT_EQ(times, static_cast<std::int64_t>((count.mask >> slice) & 1)) << count.mask << " " << slice;
    }
  }
}

TEST(PlaneMap, FewCombinationsAreAddedOnce) {
  const SliceSet slices(std::vector<SliceOptions>(3));
  const std::vector<MaskCount> counts = {{0b000, 5}, {0b001, 2}, {0b011, 1}, {0b111, 3}};
  const PlaneMap planes(slices, counts);
  EXPECT_EQ(planes.n_planes(), 3);
  EXPECT_EQ(planes.planes_of(0b011).size(), 1U);
  EXPECT_TRUE(planes.planes_of(0b000).empty());
  check_planes(slices, counts, planes);
}

TEST(PlaneMap, MoreCombinationsThanSlicesAreAddedOnceWhereThatSavesMore) {
  const SliceSet slices(std::vector<SliceOptions>(3));
  const std::vector<MaskCount> counts = {{0b001, 5}, {0b011, 1}, {0b101, 1}, {0b111, 2}};  // 15 for 9 rows
  const PlaneMap planes(slices, counts);
  EXPECT_EQ(planes.n_planes(), 4);
  EXPECT_EQ(planes.planes_per_row(), 1);
  EXPECT_EQ(planes.planes_of(0b101).size(), 1U);
  check_planes(slices, counts, planes);
}

TEST(PlaneMap, ManyCombinationsAreAddedPerSlice) {
  const SliceSet slices(std::vector<SliceOptions>(3));
  const std::vector<MaskCount> counts = {{0b001, 10}, {0b011, 1}, {0b101, 1}, {0b111, 1}};  // 17 for 13 rows
  const PlaneMap planes(slices, counts);
  EXPECT_EQ(planes.n_planes(), 3);
  EXPECT_EQ(planes.planes_per_row(), 3);
  EXPECT_EQ(planes.planes_of(0b101).size(), 2U);
  check_planes(slices, counts, planes);
}

TEST(PlaneMap, NoMorePlanesThanWereFeared) {
  const SliceOptions all{"all", SliceFilterKind::kAll, 0, 1};
  const SliceOptions part{"part", SliceFilterKind::kPosFrac, 0.1, 0.9};
  std::vector<SliceOptions> options = {all, part, part};
  EXPECT_EQ(PlaneMap::most_planes(options), 4);
  for (std::size_t n = 1; n < 7; ++n) {
    options.assign(n, part);
    std::vector<MaskCount> counts;
    for (std::uint64_t mask = 0; mask < std::uint64_t{1} << n; ++mask) counts.push_back({mask, 1});
    while (!counts.empty()) {
      EXPECT_LE(PlaneMap(SliceSet(options), counts).n_planes(), PlaneMap::most_planes(options));
      counts.erase(counts.begin());
    }
  }
  options.assign(64, part);
  EXPECT_EQ(PlaneMap::most_planes(options), 128);
}

TEST(SliceSet, BoundsOfPosFracAreInclusiveAndExact) {
  const SliceSet slices({{"s", SliceFilterKind::kPosFrac, 0.1, 0.3}});
  EXPECT_EQ(slices.mask(1, 10, false), 1U);  // 0.1f would compare as less or more
  EXPECT_EQ(slices.mask(3, 10, false), 1U);
  EXPECT_EQ(slices.mask(0, 10, false), 0U);
  EXPECT_EQ(slices.mask(31, 100, false), 0U);
  EXPECT_EQ(slices.all_slice(), -1);
  EXPECT_THROW(SliceSet(std::vector<SliceOptions>(65)), Error);
}

TEST(ScanPlan, PackingKeepsOrderAndBudget) {
  ScanShape shape;
  shape.n_rows = 10000;
  shape.dim = 200;
  shape.n_slices = shape.n_planes = 2;
  shape.permutations = 3;
  shape.n_clusters = {64, 0, 500};
  shape.n_pieces = 560;
  const auto units = list_units(shape);
  EXPECT_EQ(units.size(), 4U * (2 * (2 + 2) + 3));  // a cell without clusters has none
  const auto alone = pack(shape, units, {1, 1}, 0);
  ASSERT_EQ(alone.size(), units.size());
  std::int64_t largest = 0;
  for (const Scan& scan : alone) largest = std::max(largest, scan.need.minimum_bytes());
  const auto scans = pack(shape, units, {1, 1}, 2 * largest);
  EXPECT_LT(scans.size(), alone.size());
  EXPECT_GT(scans.size(), 1U);
  std::size_t next = 0;
  for (const Scan& scan : scans) {
    EXPECT_EQ(scan.first, next);
    EXPECT_LE(scan.need.minimum_bytes(), 2 * largest);
    next += scan.count;
  }
  EXPECT_EQ(next, units.size());
}

TEST(ScanPlan, WidensOnlyWhereItCostsFewMorePasses) {
  ScanShape shape;
  shape.n_rows = 10000;
  shape.dim = 200;
  shape.n_slices = shape.n_planes = 2;
  shape.permutations = 3;
  shape.n_clusters = {64, 500};
  shape.n_pieces = 563;
  const auto units = list_units(shape);
  const auto least = pack(shape, units, {1, 1}, 0).front().need.minimum_bytes();
  for (std::int64_t free = least; free < (std::int64_t{1} << 26); free += 654'321) {
    const auto narrow = pack(shape, units, {1, 1}, free);
    for (const int threads : {1, 4}) {
      const auto scans = plan_scans(shape, units, threads, free);
      EXPECT_LE(4 * scans.size(), 5 * narrow.size());
      for (const Scan& scan : scans) {
        EXPECT_LE(core::planned_bytes(scan.need, shape.n_blocks(), threads, free),
                  std::max(free, scan.need.minimum_bytes()));
      }
    }
  }
  const auto ample = plan_scans(shape, units, 4, testing::kAmple);
  ASSERT_EQ(ample.size(), 1U);
  EXPECT_LE(ample.front().need.bytes(8, 4), testing::kAmple);
}

}  // namespace
}  // namespace phase0::analysis
