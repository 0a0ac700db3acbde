#include "core/threads.h"

#include <gtest/gtest.h>
#include <sched.h>

#include "core/system_tree.h"

namespace phase0::core {
namespace {

class AvailableThreadsTest : public ::testing::Test {
 protected:
  /// Of this machine: quotas below are taken relative to it.
  const int cpus_ = available_threads(test::SystemTree().files()).count;
  test::SystemTree tree_;
};

TEST_F(AvailableThreadsTest, FollowTheAffinityMask) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(cpus_, CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  const AvailableThreads threads = available_threads(tree_.files());
  sched_setaffinity(0, sizeof(before), &before);
  EXPECT_EQ(threads.count, 1);
  EXPECT_EQ(threads.source, "CPU affinity");
}

TEST_F(AvailableThreadsTest, FollowTheQuotaOfEveryAncestor) {
  if (cpus_ < 2) GTEST_SKIP() << "one CPU: no quota is less";
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate");
  tree_.mount("cgroup", "/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct");
  tree_.write("/proc/self/cgroup", "1:cpu,cpuacct:/old\n0::/slice/job\n");
  tree_.write("/sys/fs/cgroup/slice/job/cpu.max", "max 100000\n");
  tree_.write("/sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_quota_us", "-1\n");
  tree_.write("/sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(available_threads(tree_.files()).count, cpus_);
  tree_.write("/sys/fs/cgroup/slice/cpu.max", "120000 100000\n");
  EXPECT_EQ(available_threads(tree_.files()).count, 1);
  EXPECT_EQ(available_threads(tree_.files()).source, "cgroup v2 cpu.max of /slice");
  tree_.write("/sys/fs/cgroup/slice/cpu.max", "max 100000\n");
  tree_.write("/sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_quota_us",
              "20000\n");  // a fifth of a CPU is one thread
  EXPECT_EQ(available_threads(tree_.files()).count, 1);
  EXPECT_EQ(available_threads(tree_.files()).source, "cgroup v1 cpu.cfs_quota_us of /old");
}

TEST_F(AvailableThreadsTest, QuotasThatAreLargeOrGarbageDoNotCount) {
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate");
  tree_.write("/proc/self/cgroup", "0::/\n");
  for (const char* text :
       {"99999900000 100000\n", "", "max\n", "100000\n", "100000 0\n", "-5 100000\n", "a b\n"}) {
    tree_.write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(available_threads(tree_.files()).count, cpus_) << text;
  }
}

}  // namespace
}  // namespace phase0::core
