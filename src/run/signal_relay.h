#pragma once

#include <signal.h>
#include <sys/types.h>

#include <utility>
#include <vector>

#include "store/posix_file.h"

namespace phase0::run {

struct ReceivedSignal {
  int number = 0;
  bool from_kernel = false;  ///< not by kill(2) or the like but, mostly, by the keys of a terminal
  pid_t sender = 0;          ///< 0 also for a process outside this container
};

/// While it lives, the signals that end or inform a command are kept for `take` instead of acting on this
/// process, and SIGPIPE and SIGTTOU are ignored, so that no message can stop it. What was ignored before
/// stays ignored. One at a time in a process; not thread-safe.
///
/// Handlers and a pipe, not a signalfd: that would need the signals blocked in every thread, and libraries
/// start threads before main().
class SignalRelay {
 public:
  SignalRelay();
  ~SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;

  /// Waits until a signal has come (SIGCHLD included) or `milliseconds` have passed.
  void wait(int milliseconds) const;
  /// The signals since the last call, without SIGCHLD.
  std::vector<ReceivedSignal> take();
  /// Puts back what was there before. Async-signal-safe: also for a child between fork and exec.
  void restore() const noexcept;

 private:
  void install(int number, void (*handler)(int, siginfo_t*, void*));

  store::FileDescriptor read_end_, write_end_;
  std::vector<std::pair<int, struct sigaction>> before_;
};

}  // namespace phase0::run
