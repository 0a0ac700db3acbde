#include "encoders/worker_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/random.h"
#include "encoders/length_buckets.h"
#include "support/expect_error.h"

namespace phase0::encoders {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

WorkerMemory memory_of(std::int64_t base, std::int64_t busy, std::int64_t item_bytes) {
  WorkerMemory memory;
  memory.measured_idle(base);
  memory.measured_busy(busy, item_bytes);
  return memory;
}

TEST(WorkerMemory, NeverPredictsLessThanItHasSeen) {
  core::Random random(3);
  WorkerMemory memory;
  memory.measured_idle(100 * kMiB);
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  for (int i = 0; i < 200; ++i) {
    const auto item_bytes = static_cast<std::int64_t>(random.uniform() * 1e6);
    const auto bytes = 100 * kMiB + static_cast<std::int64_t>(random.uniform() * 300) * item_bytes;
    memory.measured_busy(bytes, item_bytes);
    seen.emplace_back(item_bytes, bytes);
    for (const auto& [items, measured] : seen) EXPECT_GE(memory.predict(items), measured);
  }
}

TEST(WorkerMemory, FitsAsManyItemsAsThereIsRoomFor) {
  const WorkerMemory memory = memory_of(100 * kMiB, 200 * kMiB, 10'000);
  EXPECT_EQ(memory.most_items(300 * kMiB, 1'000, 64), 20);
  EXPECT_EQ(memory.most_items(300 * kMiB, 1'000, 16), 16);
  EXPECT_EQ(memory.most_items(50 * kMiB, 1'000, 16), 1);
  EXPECT_EQ(WorkerMemory().most_items(50 * kMiB, 1'000, 16), 16);
}

TEST(WorkerPlan, AutoKeepsToTheCores) {
  const WorkerMemory memory = memory_of(100 * kMiB, 110 * kMiB, 1'000);
  WorkerRequest request{
      .budget_bytes = 4096 * kMiB, .n_cores = 8, .threads_per_worker = 3, .n_sequences = 100};
  EXPECT_EQ(plan_workers(request, memory, 1'000).n_workers, 2);
  request.threads_per_worker = 16;
  EXPECT_EQ(plan_workers(request, memory, 1'000).n_workers, 1);
  request.threads_per_worker = 1;
  EXPECT_EQ(plan_workers(request, memory, 1'000).n_workers, 8);
  request.n_sequences = 3;
  EXPECT_EQ(plan_workers(request, memory, 1'000).n_workers, 3);
}

TEST(WorkerPlan, FewerThanAskedForWhenMemoryIsShort) {
  const WorkerMemory memory = memory_of(300 * kMiB, 400 * kMiB, 1'000);
  const WorkerRequest request{.n_wanted = 4, .budget_bytes = 1500 * kMiB, .n_cores = 2, .n_sequences = 53};
  const WorkerPlan plan = plan_workers(request, memory, 1'000);
  EXPECT_EQ(plan.n_workers, 3);
  EXPECT_EQ(plan.bytes_per_worker, 500 * kMiB);
  EXPECT_EQ(plan_workers(request, memory_of(1, 1, 1), 1).n_workers, 4);
}

TEST(WorkerPlan, SaysWhatOneNeeds) {
  const WorkerRequest request{.budget_bytes = 100 * kMiB, .n_sequences = 1};
  test::expect_error(ErrorKind::kMemory, "one encoder needs 150.0 MiB",
                     [&] { plan_workers(request, memory_of(100 * kMiB, 150 * kMiB, 1'000), 1'000); });
}

TEST(BucketedItems, EveryItemIsTakenOnceInBatchesOfOneLength) {
  core::Random random(5);
  std::vector<std::int64_t> bytes;
  for (int i = 0; i < 1000; ++i) bytes.push_back(static_cast<std::int64_t>(random.uniform() * 5000));
  bytes[17] = 0;
  BucketedItems items(bytes);
  std::vector<std::int64_t> taken;
  int give_backs = 0;
  while (!items.empty()) {
    const int bucket = items.bucket();
    EXPECT_EQ(length_bucket(items.longest()), bucket);
    std::vector<std::int64_t> batch = items.take(7);
    ASSERT_FALSE(batch.empty());
    ASSERT_LE(batch.size(), 7U);
    EXPECT_TRUE(std::is_sorted(batch.begin(), batch.end()));
    for (const std::int64_t item : batch)
      EXPECT_EQ(length_bucket(bytes[static_cast<std::size_t>(item)]), bucket);
    if (batch.size() > 3 && give_backs++ % 5 == 0) {
      items.give_back(batch);
      const std::vector<std::int64_t> half = items.take(3);
      EXPECT_TRUE(std::equal(half.begin(), half.end(), batch.begin()));
      batch = half;
    }
    taken.insert(taken.end(), batch.begin(), batch.end());
  }
  EXPECT_GT(give_backs, 10);
  std::sort(taken.begin(), taken.end());
  std::vector<std::int64_t> all(bytes.size());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(taken, all);
}

TEST(BucketedItems, BucketsDoubleInLength) {
  EXPECT_EQ(length_bucket(0), 0);
  EXPECT_EQ(length_bucket(1), 1);
  EXPECT_EQ(length_bucket(512), length_bucket(1023));
  EXPECT_NE(length_bucket(512), length_bucket(511));
}

}  // namespace
}  // namespace phase0::encoders
