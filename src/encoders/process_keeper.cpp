#include "encoders/process_keeper.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <thread>
#include <unordered_map>

#include "core/check.h"
#include "phase0/error.h"

namespace phase0::encoders {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kKillRound{2};         // between two rounds of killing
constexpr milliseconds kKillPatience{30000};  // then what cannot be killed is given up

/// Ended, but not waited for: the status stays to be had.
bool is_over(pid_t pid) {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  } while (result < 0 && errno == EINTR);
  return result < 0 || info.si_pid == pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

ProcessKeeper::ProcessKeeper(std::function<bool()> stop_requested)
    : stop_requested_(std::move(stop_requested)), tree_(::getpid()) {
  ::prctl(PR_GET_CHILD_SUBREAPER, &was_subreaper_);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, &pipe_before_);
  // A child whose SIGCHLD is ignored cannot be waited for.
  sigaction(SIGCHLD, nullptr, &child_before_);
  action.sa_handler = SIG_DFL;
  if ((child_before_.sa_flags & SA_SIGINFO) == 0 && child_before_.sa_handler == SIG_IGN)
    sigaction(SIGCHLD, &action, nullptr);
  for (const core::Process& process : tree_.descendants()) foreign_.insert(process.id.pid);
}

ProcessKeeper::~ProcessKeeper() {
  try {
    const std::lock_guard lock(mutex_);
    kill_trees(kept_);
    for (const pid_t pid : kept_) wait_for(pid);
  } catch (const std::exception&) {  // nobody left to be told, and nothing else that could be done
  }
  sigaction(SIGCHLD, &child_before_, nullptr);
  sigaction(SIGPIPE, &pipe_before_, nullptr);
  ::prctl(PR_SET_CHILD_SUBREAPER, was_subreaper_, 0, 0, 0);
}

void ProcessKeeper::check_stop() const {
  if (stop_requested_()) throw Error(ErrorKind::kInterrupted, "interrupted; start again to resume");
}

std::optional<int> ProcessKeeper::status(pid_t pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid)
    return std::nullopt;
  // As waitpid(2) codes it: waitid gives its parts.
  return info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status & 0x7f;
}

int ProcessKeeper::end(pid_t pid) {
  const std::lock_guard lock(mutex_);
  PHASE0_CHECK(kept_.contains(pid));
  kill_trees({pid});
  kept_.erase(pid);
  return wait_for(pid);
}

std::int64_t ProcessKeeper::count_below(pid_t pid) {
  const std::lock_guard lock(mutex_);
  const Processes processes = trees({pid});
  // One that has ended has no memory left, and is no more than a number that waits for its parent.
  return std::count_if(processes.begin(), processes.end(), [pid](const core::Process& process) {
    return process.id.pid != pid && process.rss_bytes > 0;
  });
}

ProcessKeeper::Processes ProcessKeeper::all() {
  const std::lock_guard lock(mutex_);
  return trees(kept_);
}

bool ProcessKeeper::is_orphan(const core::Process& process) const {
  const pid_t pid = process.id.pid;
  if (process.parent != ::getpid() || kept_.contains(pid) || foreign_.contains(pid)) return false;
  const pid_t session = ::getsid(pid);
  return session >= 0 && session != ::getsid(0);
}

/// The processes below `roots`, themselves included, and those below orphans.
ProcessKeeper::Processes ProcessKeeper::trees(const std::unordered_set<pid_t>& roots) {
  const Processes processes = tree_.descendants();
  std::unordered_map<pid_t, std::vector<const core::Process*>> children;
  std::vector<const core::Process*> found;
  for (const core::Process& process : processes) {
    if (roots.contains(process.id.pid) || is_orphan(process)) {
      found.push_back(&process);
    } else {
      children[process.parent].push_back(&process);
    }
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto below = children.find(found[i]->id.pid);
    if (below == children.end()) continue;
    found.insert(found.end(), below->second.begin(), below->second.end());
    children.erase(below);
  }
  Processes result;
  for (const core::Process* process : found) result.push_back(*process);
  return result;
}

/// Rounds of stopping and killing until nothing is left but the roots, ended and not waited for. Stopping
/// first keeps a tree that forks all the time from outrunning the signals.
void ProcessKeeper::kill_trees(const std::unordered_set<pid_t>& roots) {
  const auto deadline = std::chrono::steady_clock::now() + kKillPatience;
  std::unordered_set<pid_t> stopped;
  for (;;) {
    Processes processes;
    for (bool grown = true; grown;) {
      grown = false;
      processes = trees(roots);
      for (const core::Process& process : processes) {
        if (stopped.insert(process.id.pid).second && core::send_signal(process.id, SIGSTOP)) grown = true;
      }
    }
    bool done = true;
    for (const core::Process& process : processes) {
      if (roots.contains(process.id.pid) && is_over(process.id.pid)) continue;
      done = false;
      core::send_signal(process.id, SIGKILL);
      if (is_orphan(process)) ::waitpid(process.id.pid, nullptr, WNOHANG);
    }
    if (done) return;
    if (std::chrono::steady_clock::now() > deadline)
      throw Error(ErrorKind::kStorage, "cannot kill " + core::command_text(processes.front().id.pid));
    std::this_thread::sleep_for(kKillRound);
  }
}

}  // namespace phase0::encoders
