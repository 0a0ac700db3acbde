#include "run/guard.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <vector>

#include "core/process_tree.h"

namespace phase0::run {
namespace {

using std::chrono::milliseconds;
using Kind = GuardEvent::Kind;

constexpr std::int64_t kMiB = 1 << 20;
/// Holds 100 MiB for a minute: tail keeps a line that never ends, and nobody reads what it writes.
constexpr const char* kHog = "head -c 100M /dev/zero | tail | sleep 60";

struct Watched {
  GuardOutcome outcome;
  std::vector<GuardEvent> events;

  const GuardEvent* find(Kind kind) const {
    for (const GuardEvent& event : events)
      if (event.kind == kind) return &event;
    return nullptr;
  }
  int code() const { return WIFEXITED(*outcome.wait_status) ? WEXITSTATUS(*outcome.wait_status) : -1; }
};

Watched watch(const std::string& script, GuardOptions options = {}) {
  options.command = {"/bin/sh", "-c", script};
  if (options.limit_bytes == 0) options.limit_bytes = 1024 * kMiB;
  options.interval = milliseconds(10);
  Watched watched;
  watched.outcome = guard(options, [&](const GuardEvent& event) { watched.events.push_back(event); });
  // Whatever happened, no child is left.
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  return watched;
}

TEST(Guard, GivesTheCommandsOwnEnd) {
  const Watched code = watch("exit 7");
  EXPECT_EQ(code.code(), 7);
  EXPECT_FALSE(code.outcome.limit_exceeded);
  ASSERT_EQ(code.events.size(), 1U);
  EXPECT_EQ(code.events[0].kind, Kind::kStarted);
  const Watched signal = watch("kill -KILL $$");
  EXPECT_TRUE(WIFSIGNALED(*signal.outcome.wait_status));
  EXPECT_EQ(WTERMSIG(*signal.outcome.wait_status), SIGKILL);
}

TEST(Guard, SaysWhyACommandCannotBeRun) {
  GuardOptions options;
  options.limit_bytes = kMiB;
  int events = 0;
  const auto count = [&events](const GuardEvent&) { ++events; };
  options.command = {"there-is-no-such-command"};
  EXPECT_EQ(guard(options, count).start_error, ENOENT);
  options.command = {"/"};
  EXPECT_EQ(guard(options, count).start_error, EACCES);
  EXPECT_EQ(events, 0);
}

TEST(Guard, TerminatesOverTheLimitLargestFirst) {
  GuardOptions options;
  options.limit_bytes = 40 * kMiB;
  const Watched watched = watch(kHog, options);
  EXPECT_TRUE(watched.outcome.limit_exceeded);
  EXPECT_LT(watched.outcome.seconds, 30);
  EXPECT_GT(watched.outcome.peak_rss_bytes, options.limit_bytes);
  const GuardEvent* event = watched.find(Kind::kExceeded);
  ASSERT_NE(event, nullptr);
  EXPECT_GT(event->memory_bytes, options.limit_bytes);
  ASSERT_GE(event->processes.size(), 3U);
  EXPECT_EQ(event->processes[0].command, "tail");
  EXPECT_GT(event->processes[0].rss_bytes, 30 * kMiB);
  EXPECT_GE(event->processes[0].rss_bytes, event->processes[1].rss_bytes);
  EXPECT_EQ(watched.find(Kind::kKilled), nullptr);
}

TEST(Guard, KillsWhatTheGracePeriodLeaves) {
  GuardOptions options;
  options.limit_bytes = 40 * kMiB;
  options.grace = milliseconds(200);
  const Watched watched = watch(std::string("trap '' TERM; ") + kHog, options);
  EXPECT_TRUE(watched.outcome.limit_exceeded);
  EXPECT_EQ(WTERMSIG(*watched.outcome.wait_status), SIGKILL);
  EXPECT_GE(watched.outcome.seconds, 0.2);
  EXPECT_LT(watched.outcome.seconds, 30);
  ASSERT_NE(watched.find(Kind::kKilled), nullptr);
  EXPECT_GE(watched.find(Kind::kKilled)->processes.size(), 3U);
}

TEST(Guard, WatchesWhatTheCommandLeavesBehind) {
  GuardOptions options;
  options.limit_bytes = 40 * kMiB;
  const Watched over = watch(std::string("(sleep 0.3; ") + kHog + ") & exit 3", options);
  EXPECT_TRUE(over.outcome.limit_exceeded);
  EXPECT_EQ(over.code(), 3);
  const Watched within = watch("sleep 1.5 & exit 4");
  EXPECT_EQ(within.code(), 4);
  EXPECT_GT(within.outcome.seconds, 1.3);
  ASSERT_NE(within.find(Kind::kLeftBehind), nullptr);
}

TEST(Guard, EndsWithTheCommandWhenToldSo) {
  GuardOptions options;
  options.command = {"/bin/sh", "-c", "sleep 60 & exit 4"};
  options.limit_bytes = 1024 * kMiB;
  options.wait_for_descendants = false;
  const GuardOutcome outcome = guard(options, [](const GuardEvent&) {});
  EXPECT_EQ(WEXITSTATUS(*outcome.wait_status), 4);
  EXPECT_LT(outcome.seconds, 30);
  const auto left = core::ProcessTree(::getpid()).descendants();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(core::send_signal(left[0].id, SIGKILL));
  EXPECT_EQ(::waitpid(left[0].id.pid, nullptr, 0), left[0].id.pid);
}

/// Puts the signals back that a test has set.
class GuardSignals : public ::testing::Test {
 protected:
  GuardSignals() {
    sigprocmask(SIG_SETMASK, nullptr, &mask_);
    for (std::size_t i = 0; i < kNumbers.size(); ++i) sigaction(kNumbers[i], nullptr, &actions_[i]);
  }
  ~GuardSignals() override {
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
    for (std::size_t i = 0; i < kNumbers.size(); ++i) sigaction(kNumbers[i], &actions_[i], nullptr);
  }
  static void ignore(int number) {
    struct sigaction action {};
    action.sa_handler = SIG_IGN;
    sigaction(number, &action, nullptr);
  }

 private:
  static constexpr std::array<int, 3> kNumbers{SIGHUP, SIGUSR1, SIGCHLD};
  std::array<struct sigaction, 3> actions_{};
  sigset_t mask_{};
};

TEST_F(GuardSignals, LeavesTheProcessAsItWas) {
  ignore(SIGHUP);
  const auto handlers = [] {
    std::vector<void (*)(int)> now;
    for (const int number : {SIGINT, SIGTERM, SIGCHLD, SIGPIPE, SIGHUP}) {
      struct sigaction action {};
      sigaction(number, nullptr, &action);
      now.push_back(action.sa_handler);
    }
    return now;
  };
  const auto before = handlers();  // a shell's background has some ignored
  watch("exit 0");
  EXPECT_EQ(handlers(), before);
  int reaper = 1;
  ::prctl(PR_GET_CHILD_SUBREAPER, &reaper);
  EXPECT_EQ(reaper, 0);
}

TEST_F(GuardSignals, CommandGetsTheSignalsThatThisProcessWasGiven) {
  ignore(SIGUSR1);
  ignore(SIGCHLD);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  // As a pattern of grep. The lines SigBlk and SigIgn follow one another in /proc/PID/status.
  std::ifstream status("/proc/self/status");
  std::string expected;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigBlk:") || line.starts_with("SigIgn:")) expected += line + "\\n";
  GuardOptions options;
  options.limit_bytes = 1024 * kMiB;
  options.command = {"grep", "-Pzq", expected, "/proc/self/status"};
  EXPECT_EQ(*guard(options, [](const GuardEvent&) {}).wait_status, 0) << expected;
}

}  // namespace
}  // namespace phase0::run
