#include "core/scan_room.h"

#include <gtest/gtest.h>

namespace phase0::core {
namespace {

TEST(ScanRoom, BeginsWithAFewBlocksOrWithAllThatFit) {
  ThreadPool pool(2);
  MemoryBudget memory(std::int64_t{1} << 30, "test");
  Observer observer;
  Execution execution{pool, memory, observer};
  const ScanNeed need{0, 1 << 20, 8};
  EXPECT_EQ(ScanRoom(execution, need, {"few", 8, 1000}).blocks(), 4);
  const ScanRoom widest(execution, need, {"all", 8, 1000, true});
  EXPECT_EQ(widest.blocks(), widest.slots());
  EXPECT_EQ(widest.slots(), 16);
}

}  // namespace
}  // namespace phase0::core
