#include "core/scan_need.h"

#include <gtest/gtest.h>

#include <limits>

#include "phase0/error.h"

namespace phase0::core {
namespace {

constexpr std::int64_t kPlenty = std::int64_t{1} << 40;

TEST(ScanNeed, AddsUpItsParts) {
  const ScanNeed need{100, 10, 1};
  EXPECT_EQ(need.bytes(7, 3), 173);
  EXPECT_EQ(need.minimum_bytes(), 111);
}

TEST(ScanNeed, MoreThanANumberHoldsIsAnError) {
  const ScanNeed need{0, std::numeric_limits<std::int64_t>::max() / 2, 0};
  EXPECT_THROW(need.bytes(3, 1), Error);
}

TEST(WidestScan, NeverTakesMoreThanThereIs) {
  for (const std::int64_t block : {0, 1, 1 << 20}) {
    const ScanNeed need{1000, block, 1 << 18};
    for (std::int64_t free = need.minimum_bytes(); free < (std::int64_t{64} << 20); free += 999'983) {
      for (const int threads : {1, 2, 8}) {
        const ScanSize size = widest_scan(need, 1000, threads, free);
        EXPECT_LE(need.bytes(size.blocks, size.workers), free);
        EXPECT_LE(size.workers, threads);
        EXPECT_EQ(planned_bytes(need, 1000, threads, free), need.bytes(size.blocks, size.workers));
      }
    }
  }
}

TEST(WidestScan, OneBlockAndOneWorkerAtTheMinimumWhateverTheThreads) {
  const ScanNeed need{1000, 1 << 20, 1 << 20};
  for (const int threads : {1, 2, 64}) {
    const ScanSize size = widest_scan(need, 1000, threads, need.minimum_bytes());
    EXPECT_EQ(size.blocks, 1);
    EXPECT_EQ(size.workers, 1);
    EXPECT_EQ(widest_scan(need, 1000, threads, 0).blocks, 1);  // refused by the reservation
  }
}

TEST(WidestScan, TakesWorkersBeforeBlocks) {
  const ScanNeed need{0, 10, 100};
  EXPECT_EQ(widest_scan(need, 1000, 4, need.bytes(3, 3)).workers, 3);
  EXPECT_EQ(widest_scan(need, 1000, 4, need.bytes(3, 3)).blocks, 3);
  EXPECT_EQ(widest_scan(need, 1000, 4, need.bytes(9, 4)).blocks, 9);
}

TEST(WidestScan, StopsWhereMoreDoesNotHelp) {
  EXPECT_EQ(widest_scan({0, 8, 8}, 1'000'000, 2, kPlenty).blocks, 64);
  EXPECT_EQ(widest_scan({0, 0, 8}, 1'000'000, 2, kPlenty).blocks, 64);
  EXPECT_EQ(widest_scan({0, 2 << 20, 8}, 1'000'000, 2, kPlenty).blocks, 8);
  EXPECT_EQ(widest_scan({0, 64 << 20, 8}, 1'000'000, 2, kPlenty).blocks, 4);
  EXPECT_EQ(widest_scan({0, 8, 8}, 3, 8, kPlenty).blocks, 3);  // there are no more
  EXPECT_EQ(widest_scan({0, 8, 8}, 3, 8, kPlenty).workers, 3);
  EXPECT_EQ(widest_scan({0, 8, 8}, 0, 8, kPlenty).blocks, 1);
}

TEST(WidestScan, ANeedMaySayHowFarMoreHelps) {
  ScanNeed need{0, 1 << 20, 8};
  need.helpful_bytes = std::int64_t{48} << 20;
  EXPECT_EQ(widest_scan(need, 1000, 1, kPlenty).blocks, 48);
  EXPECT_EQ(widest_scan(need, 1000, 2, kPlenty).blocks, 48);
  EXPECT_EQ(widest_scan(need, 1000, 2, need.bytes(20, 2)).blocks, 20);
  EXPECT_EQ(widest_scan(need, 7, 2, kPlenty).blocks, 7);
  need.block_bytes = 0;
  EXPECT_EQ(widest_scan(need, 1000, 2, kPlenty).blocks, 1000);
}

}  // namespace
}  // namespace phase0::core
