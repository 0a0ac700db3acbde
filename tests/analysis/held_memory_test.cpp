#include "analysis/held_memory.h"

#include <gtest/gtest.h>

namespace phase0::analysis {
namespace {

constexpr std::int64_t kPlenty = std::int64_t{1} << 30;

AnalysisSizes small_sizes() {
  AnalysisSizes sizes;
  sizes.counting_bytes = 1000;
  sizes.splits = {{.n_rows = 500,
                   .dim = 8,
                   .n_slices = 1,
                   .n_planes = 1,
                   .permutations = 1,
                   .n_clusters = {4},
                   .n_pieces = 4}};
  return sizes;
}

TEST(AnalysisMemory, ResultRowsComeAfterTheScansAndSumsStayBesideThem) {
  AnalysisSizes sizes = small_sizes();
  const AnalysisMemory scans = memory_of(sizes, 2, kPlenty);
  sizes.held.sums = 5000;
  EXPECT_EQ(memory_of(sizes, 2, kPlenty).planned_bytes, scans.planned_bytes + 5000);
  EXPECT_EQ(memory_of(sizes, 2, kPlenty).minimum_bytes, scans.minimum_bytes + 5000);
  sizes.held.results = scans.minimum_bytes;
  EXPECT_EQ(memory_of(sizes, 2, kPlenty).planned_bytes, scans.planned_bytes + 5000);
  sizes.held.results = scans.planned_bytes + 1;
  EXPECT_EQ(memory_of(sizes, 2, kPlenty).planned_bytes, scans.planned_bytes + 1 + 5000);
  EXPECT_EQ(memory_of(sizes, 2, kPlenty).minimum_bytes, scans.planned_bytes + 1 + 5000);
}

}  // namespace
}  // namespace phase0::analysis
