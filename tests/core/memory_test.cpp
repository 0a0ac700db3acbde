#include "core/memory.h"

#include <gtest/gtest.h>

#include "core/system_tree.h"

namespace phase0::core {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

std::string mib(std::int64_t count) {
  return std::to_string(count * kMiB);
}

class AvailableMemoryTest : public ::testing::Test {
 protected:
  AvailableMemoryTest() { tree_.available(std::to_string(1000 * 1024)); }

  void expect(std::int64_t mebibytes, const std::string& source) const {
    const AvailableMemory available = available_memory(tree_.files());
    EXPECT_EQ(available.bytes, mebibytes * kMiB);
    EXPECT_EQ(available.source, source);
  }

  test::SystemTree tree_;
};

TEST_F(AvailableMemoryTest, WithoutCgroupsTheMachineDecides) {
  expect(1000, "MemAvailable");
}

TEST_F(AvailableMemoryTest, Version1TakesTheLimitOfAnAncestorThatTheGroupCannotSee) {
  tree_.mount("cgroup", "/sys/fs/cgroup/memory", "memory");
  tree_.write("/proc/self/cgroup", "9:name=systemd:/\n4:memory:/batch/job\n1:cpu:/\n");
  tree_.write("/sys/fs/cgroup/memory/batch/job/memory.limit_in_bytes", "9223372036854771712\n");
  tree_.write("/sys/fs/cgroup/memory/batch/job/memory.stat",
              "cache 1\nhierarchical_memory_limit " + mib(300) + "\nhierarchical_memsw_limit 1\n");
  expect(300, "cgroup v1 hierarchical_memory_limit of /batch/job");
  tree_.write("/sys/fs/cgroup/memory/batch/memory.limit_in_bytes", mib(200) + "\n");
  expect(200, "cgroup v1 memory.limit_in_bytes of /batch");
}

TEST_F(AvailableMemoryTest, Version2TakesTheLeastOfAllAncestors) {
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate");
  tree_.write("/proc/self/cgroup", "0::/user.slice/app.scope/job\n");
  tree_.write("/sys/fs/cgroup/user.slice/app.scope/job/memory.max", "max\n");
  tree_.write("/sys/fs/cgroup/user.slice/app.scope/memory.max", mib(700) + "\n");
  tree_.write("/sys/fs/cgroup/user.slice/memory.max", mib(500) + "\n");
  expect(500, "cgroup v2 memory.max of /user.slice");
}

TEST_F(AvailableMemoryTest, AHybridMachineIsReadInBothHierarchies) {
  tree_.mount("cgroup", "/sys/fs/cgroup/memory", "memory");
  tree_.mount("cgroup2", "/sys/fs/cgroup/unified", "nsdelegate");
  tree_.write("/proc/self/cgroup", "4:memory:/old\n0::/new\n");
  tree_.write("/sys/fs/cgroup/memory/old/memory.stat", "hierarchical_memory_limit " + mib(400) + "\n");
  tree_.write("/sys/fs/cgroup/unified/new/memory.max", mib(600) + "\n");
  expect(400, "cgroup v1 hierarchical_memory_limit of /old");
  tree_.write("/sys/fs/cgroup/unified/new/memory.max", mib(100) + "\n");
  expect(100, "cgroup v2 memory.max of /new");
}

TEST_F(AvailableMemoryTest, WhatOthersHoldOfALimitIsNotAvailableButTheirPageCacheIs) {
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate");
  tree_.write("/proc/self/cgroup", "0::/shared\n");
  tree_.write("/sys/fs/cgroup/shared/memory.max", mib(800));
  tree_.write("/sys/fs/cgroup/shared/memory.current", mib(500));
  tree_.write("/sys/fs/cgroup/shared/memory.stat",
              "anon 7\nfile " + mib(480) + "\ninactive_file " + mib(150) + "\nactive_file " + mib(50) + "\n");
  expect(500, "cgroup v2 memory.max of /shared");                  // 800 - (500 - 200)
  tree_.write("/sys/fs/cgroup/shared/memory.current", mib(2000));  // over the limit already
  expect(0, "cgroup v2 memory.max of /shared");
}

TEST_F(AvailableMemoryTest, AContainerSeesItsGroupAtTheMountPoint) {
  // Without a cgroup namespace: the path is the host's, the mount shows only what lies below it.
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate", "/docker/abc");
  tree_.write("/proc/self/cgroup", "0::/docker/abc/inner\n");
  tree_.write("/sys/fs/cgroup/inner/memory.max", "max\n");
  tree_.write("/sys/fs/cgroup/memory.max", mib(250));
  expect(250, "cgroup v2 memory.max of /");
  // In a namespace of its own, moved out of it, or with folders that are not there.
  for (const char* path : {"0::/\n", "0::/../other\n", "0::/docker/abc/gone\n", "0::/elsewhere\n", ""}) {
    tree_.write("/proc/self/cgroup", path);
    expect(250, "cgroup v2 memory.max of /");
  }
}

TEST_F(AvailableMemoryTest, MountPointsMayHoldBlanks) {
  tree_.mount("cgroup2", "/mnt/control\\040groups", "nsdelegate");
  tree_.write("/proc/self/cgroup", "0::/\n");
  tree_.write("/mnt/control groups/memory.max", mib(90));
  expect(90, "cgroup v2 memory.max of /");
}

TEST_F(AvailableMemoryTest, GarbageIsNoLimit) {
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate");
  tree_.mount("cgroup", "/sys/fs/cgroup/memory", "memory");
  tree_.append("/proc/self/mountinfo", "\n- - -\ncgroup2\n");
  tree_.write("/proc/self/cgroup", "nonsense\n:::\n0::/a\n4:memory:/a\n");
  for (const char* text : {"", "max\n", "lots\n", "-1\n", "99999999999999999999999\n"}) {
    tree_.write("/sys/fs/cgroup/a/memory.max", text);
    tree_.write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", text);
    tree_.write("/sys/fs/cgroup/memory/a/memory.stat", std::string("hierarchical_memory_limit ") + text);
    expect(1000, "MemAvailable");
  }
  tree_.write("/proc/meminfo", "MemAvailable: many kB\n");
  EXPECT_GT(available_memory(tree_.files()).bytes, 1000 * kMiB);
}

TEST_F(AvailableMemoryTest, ThePageCacheGetsWhatTheBudgetLeaves) {
  EXPECT_EQ(page_cache_bytes(300 * kMiB, tree_.files()), 700 * kMiB);
  tree_.mount("cgroup2", "/sys/fs/cgroup", "nsdelegate");
  tree_.write("/proc/self/cgroup", "0::/job\n");
  tree_.write("/sys/fs/cgroup/job/memory.max", mib(330) + "\n");
  EXPECT_EQ(page_cache_bytes(300 * kMiB, tree_.files()), 30 * kMiB);
  EXPECT_EQ(page_cache_bytes(400 * kMiB, tree_.files()), 0);
}

TEST_F(AvailableMemoryTest, BudgetsAreASizeOrAShareOfWhatIsAvailable) {
  const auto budget = [&](const MemoryOptions& options) {
    const MemoryBudget made = MemoryBudget::from_options(options, tree_.files());
    return std::pair(made.bytes() / kMiB, made.source());
  };
  EXPECT_EQ(budget({}), std::pair(std::int64_t{500}, std::string("50 % of 1000.0 MiB (MemAvailable)")));
  EXPECT_EQ(budget({.budget_bytes = 7 * kMiB, .budget_percent = {}}),
            std::pair(std::int64_t{7}, std::string("given")));
  EXPECT_EQ(budget({.budget_bytes = {}, .budget_percent = 25}),
            std::pair(std::int64_t{250}, std::string("25 % of 1000.0 MiB (MemAvailable)")));
}

}  // namespace
}  // namespace phase0::core
