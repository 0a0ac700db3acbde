#include "cli/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "phase0/error.h"

namespace phase0::cli {
namespace {

constexpr int kPatience =
    3;  // a terminal and a parent may each pass on the same Ctrl-C, so the second is no haste

// A signal handler has no other way to reach the program than globals.
std::atomic<int> signals_seen{0};
std::atomic<int> signals_until_exit{kPatience};
std::atomic<int> code_of_exit{static_cast<int>(ErrorKind::kInterrupted)};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void handle_signal(int /*number*/) {
  if (signals_seen.fetch_add(1) + 1 >= signals_until_exit.load()) ::_exit(code_of_exit.load());
}

}  // namespace

void install_signal_handlers(SignalMode mode) {
  signals_until_exit.store(mode == SignalMode::kImmediate ? 1 : kPatience);
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // no library call is to fail with EINTR
  action.sa_handler = handle_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

void let_signals_end(int exit_code) {
  code_of_exit.store(exit_code);
  signals_until_exit.store(1);
}

bool interrupted() {
  return signals_seen.load(std::memory_order_relaxed) > 0;
}

}  // namespace phase0::cli
