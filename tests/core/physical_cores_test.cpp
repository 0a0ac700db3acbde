#include "core/physical_cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <fmt/format.h>

#include "core/threads.h"
#include "system_tree.h"

namespace phase0::core {
namespace {

/// Processors that this process may run on.
std::vector<int> usable() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> processors;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) processors.push_back(cpu);
  }
  return processors;
}

void set_siblings(const test::SystemTree& tree, int cpu, const std::string& siblings) {
  tree.write(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu),
             siblings + "\n");
}

TEST(PhysicalCores, HardwareThreadsOfACoreCountOnce) {
  const test::SystemTree tree;
  for (const int cpu : usable()) set_siblings(tree, cpu, "all the same");
  EXPECT_EQ(physical_cores(tree.files()), 1);
}

TEST(PhysicalCores, CoresOfTheirOwnCountEach) {
  const test::SystemTree tree;
  for (const int cpu : usable()) set_siblings(tree, cpu, std::to_string(cpu));
  EXPECT_EQ(physical_cores(tree.files()), available_threads(tree.files()).count);
}

TEST(PhysicalCores, WithoutWordOfThemEveryProcessorCounts) {
  const test::SystemTree tree;
  EXPECT_EQ(physical_cores(tree.files()), available_threads(tree.files()).count);
  EXPECT_GE(physical_cores(), 1);
}

}  // namespace
}  // namespace phase0::core
