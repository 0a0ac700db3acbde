#include "core/process_tree.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>

#include "support/child_process.h"

namespace phase0::core {
namespace {

using test::ChildProcess;

bool holds(const std::vector<Process>& processes, pid_t pid) {
  return std::any_of(processes.begin(), processes.end(), [pid](const Process& p) { return p.id.pid == pid; });
}

TEST(Process, ReadsParentStartAndMemory) {
  const auto self = read_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_EQ(self->id.pid, ::getpid());
  EXPECT_EQ(self->parent, ::getppid());
  EXPECT_GT(self->id.start_ticks, 0U);
  EXPECT_GT(self->rss_bytes, 1 << 20);
  EXPECT_FALSE(read_process(0));
}

TEST(Process, NameMayHoldWhatSeparatesTheFields) {
  ChildProcess child([](ChildProcess& self) {
    ::prctl(PR_SET_NAME, "a) R 1 (b");
    self.say(0);
  });
  child.hear();
  const auto process = read_process(child.pid());
  ASSERT_TRUE(process);
  EXPECT_EQ(process->parent, ::getpid());
}

TEST(Process, TouchedMemoryIsSeenAndSharedMemoryCountsOnceAsPss) {
  constexpr std::size_t kBytes = 64 << 20;
  void* const shared = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  const auto touch = [shared](ChildProcess& self) {
    // By the kernel: a sanitizer adds private memory for what the program writes.
    self.say(::madvise(shared, kBytes, MADV_POPULATE_WRITE));
  };
  const ChildProcess a(touch);
  const ChildProcess b(touch);
  ASSERT_EQ(a.hear(), 0);
  ASSERT_EQ(b.hear(), 0);
  EXPECT_GE(read_process(a.pid())->rss_bytes, std::int64_t{kBytes});
  EXPECT_GE(read_process(b.pid())->rss_bytes, std::int64_t{kBytes});
  const auto pss_a = pss_bytes(a.pid());
  const auto pss_b = pss_bytes(b.pid());
  if (!pss_a || !pss_b) GTEST_SKIP() << "smaps_rollup cannot be read here";
  EXPECT_GE(*pss_a + *pss_b, std::int64_t{kBytes});
  EXPECT_LT(*pss_a + *pss_b, std::int64_t{kBytes} + (32 << 20));
  ::munmap(shared, kBytes);
}

TEST(Process, SignalGoesToTheOneThatIsMeantOnly) {
  const ChildProcess child([](ChildProcess& self) { self.say(0); });
  child.hear();
  ProcessId id = read_process(child.pid())->id;
  ++id.start_ticks;
  EXPECT_FALSE(send_signal(id, SIGKILL));
  EXPECT_EQ(::waitpid(child.pid(), nullptr, WNOHANG), 0);  // lives
  --id.start_ticks;
  EXPECT_TRUE(send_signal(id, SIGKILL));
  int status = 0;
  EXPECT_EQ(::waitpid(child.pid(), &status, 0), child.pid());
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_FALSE(send_signal(id, SIGKILL));
}

TEST(Process, CommandIsTheArgumentsOrTheName) {
  EXPECT_NE(command_text(::getpid()).find("core_tests"), std::string::npos);
  EXPECT_EQ(command_text(2).substr(0, 1), "[");  // a kernel thread, or nothing in a container
}

TEST(ProcessTree, FindsEveryGenerationAndNobodyElse) {
  ProcessTree tree(::getpid());
  EXPECT_TRUE(tree.descendants().empty());
  const ChildProcess child([](ChildProcess& self) {
    const ChildProcess grandchild([](ChildProcess&) {});
    self.say(grandchild.pid());
    for (;;) ::pause();
  });
  const pid_t grandchild = child.hear();
  const auto all = tree.descendants();
  EXPECT_EQ(all.size(), 2U);
  EXPECT_TRUE(holds(all, child.pid()) && holds(all, grandchild));

  ProcessTree subtree(child.pid());
  for (int look = 0; look < 3; ++look) {  // the later ones know who is outside
    const auto below = subtree.descendants();
    EXPECT_EQ(below.size(), 1U);
    EXPECT_TRUE(holds(below, grandchild));
  }
  ::kill(grandchild, SIGKILL);
}

TEST(ProcessTree, SeesThoseThatComeAndGoBetweenLooks) {
  ProcessTree tree(::getpid());
  for (int round = 0; round < 20; ++round) {
    EXPECT_TRUE(tree.descendants().empty());
    const ChildProcess child([](ChildProcess&) {});
    EXPECT_TRUE(holds(tree.descendants(), child.pid()));
  }
}

TEST(ProcessTree, KeepsADaemonWhoseParentHasGone) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  ProcessTree tree(::getpid());
  pid_t daemon = 0;
  {
    const ChildProcess child([](ChildProcess& self) {
      ::setsid();
      const pid_t pid = ::fork();
      if (pid != 0) {
        self.say(pid);
        ::_exit(0);
      }
    });
    daemon = child.hear();
  }
  const auto all = tree.descendants();
  EXPECT_EQ(all.size(), 1U);
  EXPECT_TRUE(holds(all, daemon));
  ::kill(daemon, SIGKILL);
  EXPECT_EQ(::waitpid(daemon, nullptr, 0), daemon);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

}  // namespace
}  // namespace phase0::core
