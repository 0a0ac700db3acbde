#include "run/advice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "run/session_options.h"
#include "store/file_system.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::run {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

/// 10 MiB, 20 per thread, 1 per cluster.
std::int64_t need(const Session& session) {
  return (10 + 20 * session.threads() + session.options().clustering.conditions[0].k) * kMiB;
}

class AdviceTest : public ::testing::Test {
 protected:
  /// 2 threads and k 64: a need of 114 MiB.
  std::vector<PlanChange> ways(std::int64_t budget_mebibytes, ChangeableFrom from) {
    const Session session(test::session_options(folder_.file("run"), budget_mebibytes * kMiB), observer_);
    return ways_to_less_memory(session, need, from);
  }
  using Settings = std::vector<std::string>;

  test::TemporaryFolder folder_;
  Observer observer_;
};

TEST_F(AdviceTest, ASettingIsChangedNoFurtherThanNeedBe) {
  const auto changes = ways(85, ChangeableFrom::kCollect);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].settings, Settings{"clustering.conditions.0.k=32"});
  EXPECT_EQ(changes[0].minimum_memory_bytes, 82 * kMiB);
  EXPECT_EQ(changes[1].settings, Settings{"compute.threads=1"});  // helps, but is not enough
  EXPECT_EQ(changes[1].minimum_memory_bytes, 94 * kMiB);
}

TEST_F(AdviceTest, WhatNoSettingDoesAloneSomeDoTogether) {
  const auto changes = ways(45, ChangeableFrom::kCollect);
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].settings, (Settings{"clustering.conditions.0.k=2", "compute.threads=1"}));
  EXPECT_EQ(changes[0].minimum_memory_bytes, 32 * kMiB);
}

TEST_F(AdviceTest, LaterStagesChangeOnlyWhatTheyDo) {
  const auto changes = ways(100, ChangeableFrom::kAnalyze);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].settings, Settings{"compute.threads=1"});
}

TEST_F(AdviceTest, NoSettingGoesBeyondTheLargestNumber) {
  Options options = test::session_options(folder_.file("run"), 40 * kMiB);
  const std::int64_t before = (std::int64_t{1} << 61) + 5;  // eight of them would wrap to 40
  options.clustering.min_cluster_size = before;
  std::vector<std::int64_t> tried;
  const auto note = [&tried](const Session& session) {
    tried.push_back(session.options().clustering.min_cluster_size);
    return 50 * kMiB;
  };
  ways_to_less_memory(Session(options, observer_), note, ChangeableFrom::kAnalyze);
  EXPECT_EQ(*std::min_element(tried.begin(), tried.end()), before);
  EXPECT_EQ(*std::max_element(tried.begin(), tried.end()), 2 * before);
}

TEST_F(AdviceTest, TheErrorNamesTheSmallestBudgetAndTheChange) {
  const Session session(test::session_options(folder_.file("run"), 85 * kMiB), observer_);
  test::expect_error(ErrorKind::kMemory, "the smallest that works is 114MiB",
                     [&] { require_memory(session, need, ChangeableFrom::kFit); });
  test::expect_error(ErrorKind::kMemory, "--set 'clustering.conditions.0.k=32' (82MiB)",
                     [&] { require_memory(session, need, ChangeableFrom::kFit); });
  const auto more = [](const Session&) { return 85 * kMiB + 1; };
  test::expect_error(ErrorKind::kMemory, "86MiB; no setting",
                     [&] { require_memory(session, more, ChangeableFrom::kFit); });
  require_memory(
      session, [](const Session&) { return 85 * kMiB; }, ChangeableFrom::kFit);
}

TEST_F(AdviceTest, AFullDiskIsSaidBeforehandWithBothFigures) {
  const Session session(test::session_options(folder_.file("run")), observer_);
  const std::int64_t free = store::free_disk_bytes(folder_.path());
  const std::int64_t much = free + (std::int64_t{1} << 40);
  require_disk(session, "fit", 1, 0);
  require_disk(session, "fit", much, std::int64_t{2} << 40);
  test::expect_error(ErrorKind::kStorage, "disk full: fit needs " + core::format_bytes(much),
                     [&] { require_disk(session, "fit", much, 0); });
}

}  // namespace
}  // namespace phase0::run
