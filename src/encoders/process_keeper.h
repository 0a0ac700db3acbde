#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/process_tree.h"

namespace phase0::encoders {

/// Sees to it that nothing which encoders have started outlives them, daemons in sessions of their own
/// included. One at a time in a process; thread-safe.
///
/// While it lives this process is the reaper of its descendants' orphans (child subreaper), and ignores
/// SIGPIPE. An orphan is told from a child that somebody else in this process has started by its session:
/// encoders never run in this process's own. A child of this process that is in another session and was here
/// before the keeper is left alone.
class ProcessKeeper {
 public:
  /// Waits for encoders end with Error (kInterrupted) once `stop_requested` says so.
  explicit ProcessKeeper(std::function<bool()> stop_requested = [] { return false; });
  /// Kills what is left.
  ~ProcessKeeper();
  ProcessKeeper(const ProcessKeeper&) = delete;
  ProcessKeeper& operator=(const ProcessKeeper&) = delete;

  /// Throws Error (kInterrupted).
  void check_stop() const;

  /// Starts a process with `fork`, which returns as fork(2) does, and keeps it.
  template <typename Fork>
  pid_t start(const Fork& fork) {
    const std::lock_guard lock(mutex_);
    const pid_t pid = fork();
    if (pid > 0) kept_.insert(pid);
    return pid;
  }

  /// The status, as of waitpid(2), once a kept process has ended; its orphans may still run. It stays until
  /// end().
  std::optional<int> status(pid_t pid);
  /// Kills a kept process with all its descendants and every orphan, and waits for them. Gives the status of
  /// `pid`. Throws Error (kStorage) when /proc cannot be read or something cannot be killed.
  int end(pid_t pid);
  /// How many processes run below `pid` or as orphans; `pid` itself does not count.
  std::int64_t count_below(pid_t pid);
  /// Descendants of kept processes, themselves included, and orphans.
  std::vector<core::Process> all();

 private:
  using Processes = std::vector<core::Process>;

  Processes trees(const std::unordered_set<pid_t>& roots);
  bool is_orphan(const core::Process& process) const;
  void kill_trees(const std::unordered_set<pid_t>& roots);

  std::function<bool()> stop_requested_;
  std::mutex mutex_;
  core::ProcessTree tree_;
  std::unordered_set<pid_t> kept_;
  std::unordered_set<pid_t> foreign_;  ///< children that were here before
  int was_subreaper_ = 0;
  struct sigaction pipe_before_ {};
  struct sigaction child_before_ {};
};

}  // namespace phase0::encoders
