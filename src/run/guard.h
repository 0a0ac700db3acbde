#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// Runs a command and ends it, with all its descendants, when together they use more memory than allowed.
///
/// The tree is every process that the command and its descendants start, in whatever session or group, for
/// guard() makes itself the reaper of orphans. Its memory is the sum of resident sets, cheap to take but
/// counting a shared page once for every process; only when that sum is over the limit is the proportional
/// share (PSS) taken, and that decides. Memory swapped out, page cache and tmpfs that nobody maps do not
/// count.
///
/// The command stays in the caller's process group, so the terminal, its keys and job control work as without
/// guard. Signals sent to this process are passed on to the command, except those that the kernel sends to
/// the whole group and that have reached it already. SIGSTOP and SIGTSTP stop this process, and the watch
/// with it.
namespace phase0::run {

struct GuardOptions {
  std::vector<std::string> command;         ///< program, looked up in PATH, and its arguments
  std::int64_t limit_bytes = 0;             ///< > 0
  std::chrono::milliseconds grace{5000};    ///< from SIGTERM to SIGKILL; >= 0
  std::chrono::milliseconds interval{100};  ///< between two looks; > 0
  bool wait_for_descendants = true;         ///< watch on after the command's end, until the last ends
};

struct GuardedProcess {
  pid_t pid = 0;
  std::int64_t rss_bytes = 0;
  std::optional<std::int64_t> pss_bytes;  ///< where it was taken and could be read
  std::string command;
};

struct GuardEvent {
  enum class Kind {
    kStarted,     ///< the command runs; it is the only process
    kExceeded,    ///< over the limit; SIGTERM has gone to all processes
    kKilled,      ///< SIGKILL has gone to those that the grace period left
    kLeftBehind,  ///< the command has ended; these still run and are watched
    kSurvived,    ///< these could not be killed (another user's, or stuck in the kernel) and are given up
  };
  Kind kind{};
  std::int64_t memory_bytes = 0;          ///< of all, as compared with the limit
  std::vector<GuardedProcess> processes;  ///< largest first
};

struct GuardOutcome {
  int start_error = 0;  ///< why the command could not be run: errno of execvp(3); 0 when it ran
  bool limit_exceeded = false;
  std::optional<int> wait_status;   ///< the command's, of waitpid(2); none when it could not be killed
  std::int64_t peak_rss_bytes = 0;  ///< largest sum of resident sets seen
  std::int64_t peak_pss_bytes = 0;  ///< largest proportional sum taken; 0 when none was
  std::int64_t looks = 0;           ///< at the memory of the tree
  double seconds = 0;
};

/// Runs `options.command` to its end. `tell` hears of events after they have happened and must not throw.
/// While it runs it takes over the process's signals and children: call it from a process that has no other
/// children, from the main thread, one at a time. Throws Error (kStorage) when the command cannot be watched
/// or there are no resources to start it.
GuardOutcome guard(const GuardOptions& options, const std::function<void(const GuardEvent&)>& tell);

}  // namespace phase0::run
