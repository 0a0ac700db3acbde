#include "run/signal_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "core/check.h"

namespace phase0::run {
namespace {

constexpr int kRelayed[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1, SIGUSR2,
                            SIGALRM, SIGCONT, SIGWINCH, SIGIO,   SIGPWR};
constexpr int kIgnored[] = {SIGPIPE, SIGTTOU};

// A signal handler has no other way to reach the program than globals.
std::atomic<int> relay_descriptor{-1};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void relay_signal(int number, siginfo_t* info, void* /*context*/) {
  const int saved_errno = errno;
  const ReceivedSignal received{number, info->si_code > 0, info->si_pid};
  // A full pipe holds thousands that nobody has looked at yet.
  static_cast<void>(!::write(relay_descriptor.load(), &received, sizeof received));
  errno = saved_errno;
}

}  // namespace

SignalRelay::SignalRelay() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) store::throw_errno("make a pipe", "");
  read_end_ = store::FileDescriptor(ends[0]);
  write_end_ = store::FileDescriptor(ends[1]);
  int none = -1;
  PHASE0_CHECK(relay_descriptor.compare_exchange_strong(none, ends[1]));
  for (const int number : kRelayed) install(number, relay_signal);
  for (const int number : kIgnored) install(number, nullptr);
  install(SIGCHLD, relay_signal);
}

SignalRelay::~SignalRelay() {
  restore();
  relay_descriptor.store(-1);
}

void SignalRelay::install(int number, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction before {};
  sigaction(number, nullptr, &before);
  const bool ignored = (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_IGN;
  if (ignored && number != SIGCHLD) return;  // a child whose SIGCHLD is ignored cannot be waited for
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  if (handler == nullptr) {
    action.sa_handler = SIG_IGN;
  } else {
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = handler;
  }
  sigaction(number, &action, nullptr);
  before_.emplace_back(number, before);
}

void SignalRelay::wait(int milliseconds) const {
  pollfd readable{read_end_.get(), POLLIN, 0};
  static_cast<void>(::poll(&readable, 1, milliseconds));
}

std::vector<ReceivedSignal> SignalRelay::take() {
  std::vector<ReceivedSignal> signals;
  ReceivedSignal received;
  while (::read(read_end_.get(), &received, sizeof received) == sizeof received)
    if (received.number != SIGCHLD) signals.push_back(received);
  return signals;
}

void SignalRelay::restore() const noexcept {
  for (const auto& [number, action] : before_) sigaction(number, &action, nullptr);
}

}  // namespace phase0::run
