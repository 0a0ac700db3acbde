#include "cli/signals.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>

#include "core/text.h"
#include "phase0/error.h"
#include "store/mapped_ranges.h"

namespace phase0::cli {
namespace {

constexpr int kPatience =
    3;  // a terminal and a parent may each pass on the same Ctrl-C, so the second is no haste

// A signal handler has no other way to reach the program than globals.
std::atomic<int> signals_seen{0};
std::atomic<int> signals_until_exit{kPatience};
std::atomic<int> bus_errors_seen{0};
std::atomic<int> code_of_exit{static_cast<int>(ErrorKind::kInterrupted)};
static_assert(std::atomic<int>::is_always_lock_free);

/// Unlike SIG_IGN this does not pass to the programs that are started.
extern "C" void handle_nothing(int /*number*/) {}

extern "C" void handle_signal(int /*number*/) {
  if (signals_seen.fetch_add(1) + 1 >= signals_until_exit.load()) ::_exit(code_of_exit.load());
}

/// What a signal handler may write: a text and a number, put together by hand.
class Message {
 public:
  void add(const char* text) {
    for (; *text != '\0'; ++text) add(*text);
  }
  void add(std::int64_t number) {
    if (number >= 10) add(number / 10);
    add(static_cast<char>('0' + number % 10));
  }
  /// To standard error, with names that cannot drive a terminal.
  void write_line() {
    for (std::size_t i = 0; i < size_;) {
      const std::size_t length = core::printable_length({text_.data() + i, size_ - i});
      if (length == 0) text_[i] = '?';
      i += std::max<std::size_t>(length, 1);
    }
    text_[size_++] = '\n';
    static_cast<void>(!::write(STDERR_FILENO, text_.data(), size_));
  }

 private:
  void add(char c) {
    if (size_ < text_.size() - 1) text_[size_++] = c;
  }
  std::array<char, 8192> text_;
  std::size_t size_ = 0;
};

extern "C" void handle_bus_error(int number, siginfo_t* info, void* /*context*/) {
  const auto place = store::find_mapped(info->si_addr);
  if (!place) {  // a bug: it comes again, and ends the process as it would have
    ::signal(number, SIG_DFL);
    return;
  }
  if (bus_errors_seen.fetch_add(1) > 0) {  // another thread is at it
    for (;;) ::pause();
  }
  const store::MappedFailure failure = store::explain(*place);
  Message message;
  message.add("phase0: error: ");
  message.add(place->path);
  message.add(": offset ");
  message.add(place->offset);
  message.add(": ");
  message.add(failure.message);
  message.write_line();
  ::_exit(static_cast<int>(failure.kind));
}

}  // namespace

void install_bus_error_handler() {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = handle_bus_error;
  sigaction(SIGBUS, &action, nullptr);
}

void install_signal_handlers(SignalMode mode) {
  signals_until_exit.store(mode == SignalMode::kImmediate ? 1 : kPatience);
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // no library call is to fail with EINTR
  action.sa_handler = handle_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = handle_nothing;
  sigaction(SIGXFSZ, &action, nullptr);
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
