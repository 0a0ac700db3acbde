#include "core/memory_monitor.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "core/execution.h"
#include "core/memory.h"

namespace phase0::core {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

class MonitorTest : public ::testing::Test {
 protected:
  void sample(int times = 1) {
    for (int i = 0; i < times; ++i) monitor_.sample();
  }
  bool stops() const {
    try {
      monitor_.check();
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kMemory);
      return true;
    }
  }

  MemoryReading reading_{.rss_anon = 10 * kMiB};
  MemoryMonitor monitor_{100 * kMiB, [this] { return reading_; }};
};

TEST_F(MonitorTest, IsQuietBelowTheMark) {
  reading_.rss_anon = 84 * kMiB;
  sample(50);
  EXPECT_FALSE(monitor_.under_pressure());
  EXPECT_FALSE(stops());
}

TEST_F(MonitorTest, RaisesPressureOverTheMarkAndLowersItAgain) {
  reading_.rss_file = 76 * kMiB;
  sample();
  EXPECT_TRUE(monitor_.under_pressure());
  sample(50);
  EXPECT_FALSE(stops());  // within the budget
  reading_.rss_file = 0;
  sample();
  EXPECT_FALSE(monitor_.under_pressure());
}

TEST_F(MonitorTest, WatchesTheGroupAndStalls) {
  reading_.group_limit = 1000 * kMiB;
  reading_.group_unreclaimable = 500 * kMiB;
  reading_.stalled_percent = 3;
  sample();
  EXPECT_FALSE(monitor_.under_pressure());
  reading_.group_unreclaimable = 900 * kMiB;
  sample();
  EXPECT_TRUE(monitor_.under_pressure());
  reading_.group_unreclaimable = 500 * kMiB;
  reading_.stalled_percent = 60;
  sample();
  EXPECT_TRUE(monitor_.under_pressure());
  EXPECT_FALSE(stops());
}

TEST_F(MonitorTest, StopsWhereItFillsTheGroupAndNamesTheGroup) {
  reading_.group_limit = 200 * kMiB;
  reading_.group_source = "cgroup v2 memory.max of /shared";
  reading_.rss_anon = 50 * kMiB;
  reading_.rss_shmem = 4 * kMiB;
  reading_.rss_file = 20 * kMiB;
  reading_.group_unreclaimable = 190 * kMiB;  // 95 %
  sample(50);
  EXPECT_FALSE(stops());
  reading_.group_unreclaimable = 198 * kMiB;
  sample(MemoryMonitor::kPatience - 1);
  EXPECT_FALSE(stops());
  sample();
  try {
    monitor_.check();
    ADD_FAILURE() << "goes on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kMemory);
    const std::string text = error.what();
    for (const char* part : {"/shared", "198.0 MiB of 200.0 MiB", "of which phase0 54.0 MiB", "resume"})
      EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
    EXPECT_EQ(text.find("budget"), std::string::npos) << text;
  }
}

TEST_F(MonitorTest, GoesOnWhereNeighboursAloneFillTheGroup) {
  reading_.group_limit = 1000 * kMiB;
  reading_.group_unreclaimable = 995 * kMiB;  // 10 MiB of it ours
  sample(50);
  EXPECT_TRUE(monitor_.under_pressure());
  EXPECT_FALSE(stops());
  reading_.group_unreclaimable = 50 * kMiB;
  sample();
  EXPECT_FALSE(monitor_.under_pressure());
}

TEST_F(MonitorTest, StopsWhenOverTheBudgetForLongAndSaysWhatGrew) {
  monitor_.set_planned_bytes(90 * kMiB);
  sample();
  reading_.rss_anon = 70 * kMiB;
  reading_.rss_shmem = 45 * kMiB;
  sample(MemoryMonitor::kPatience - 1);
  EXPECT_FALSE(stops());
  reading_.rss_shmem = 0;
  sample();  // a release helped
  reading_.rss_shmem = 45 * kMiB;
  sample(MemoryMonitor::kPatience - 1);
  EXPECT_FALSE(stops());
  sample();
  ASSERT_TRUE(stops());
  try {
    monitor_.check();
  } catch (const Error& error) {
    const std::string text = error.what();
    for (const char* part :
         {"115.0 MiB resident", "90.0 MiB planned", "100.0 MiB allowed", "heap 70.0 MiB (was 10.0 MiB)",
          "shared memory 45.0 MiB (was 0 B)", "block boundary"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
    }
  }
}

TEST(MemoryMonitor, StopsAnExecutionBetweenBlocks) {
  MemoryMonitor monitor(kMiB, [] { return MemoryReading{.rss_anon = 2 * kMiB}; });
  ThreadPool pool(1);
  MemoryBudget memory(std::int64_t{1} << 30, "test");
  Observer observer;
  const Execution unwatched{pool, memory, observer};
  const Execution watched{pool, memory, observer, &monitor};
  for (int i = 0; i < MemoryMonitor::kPatience; ++i) monitor.sample();
  EXPECT_NO_THROW(unwatched.check_stop());
  EXPECT_THROW(watched.check_stop(), Error);
  EXPECT_TRUE(watched.under_pressure());
  EXPECT_FALSE(unwatched.under_pressure());
}

TEST(MemoryMonitor, ItsThreadReadsThisProcess) {
  const MemoryReading reading = MemoryReader().read();
  EXPECT_NEAR(static_cast<double>(reading.rss()), static_cast<double>(current_rss_bytes()), 8e6);
  MemoryMonitor monitor(kMiB);  // which this process is over
  for (int i = 0; i < 100 && !monitor.under_pressure(); ++i) std::this_thread::sleep_for(monitor.kInterval);
  EXPECT_TRUE(monitor.under_pressure());
}

}  // namespace
}  // namespace phase0::core
