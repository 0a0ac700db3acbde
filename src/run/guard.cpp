#include "run/guard.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <unordered_set>

#include "core/process_tree.h"
#include "run/signal_relay.h"
#include "run/start_command.h"

namespace phase0::run {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kKillRound{10};          // between two rounds of killing
constexpr milliseconds kKillPatience{30000};    // then what cannot be killed is given up
constexpr milliseconds kLeftBehindDelay{1000};  // helpers that end with the command are not worth a word
constexpr int kConfirmShare = 4;                // taking PSS may take 1 / (1 + this) of the time

/// Orphans of the tree come to this process while it lives.
class Subreaper {
 public:
  Subreaper() { set(1); }
  ~Subreaper() { set(0); }
  Subreaper(const Subreaper&) = delete;
  Subreaper& operator=(const Subreaper&) = delete;

 private:
  static void set(unsigned long on) { ::prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0); }
};

std::int64_t sum_rss(const std::vector<core::Process>& processes) {
  std::int64_t bytes = 0;
  for (const core::Process& process : processes) bytes += process.rss_bytes;
  return bytes;
}

/// The processes largest first, with their commands.
std::vector<GuardedProcess> describe(const std::vector<core::Process>& processes) {
  std::vector<GuardedProcess> described;
  described.reserve(processes.size());
  for (const core::Process& process : processes)
    described.push_back(
        {process.id.pid, process.rss_bytes, std::nullopt, core::command_text(process.id.pid)});
  std::sort(described.begin(), described.end(), [](const GuardedProcess& a, const GuardedProcess& b) {
    return a.rss_bytes != b.rss_bytes ? a.rss_bytes > b.rss_bytes : a.pid < b.pid;
  });
  return described;
}

/// Takes the proportional share of each process where it can be read; the sum, with RSS for the others.
std::int64_t take_pss(std::vector<GuardedProcess>& processes) {
  std::int64_t bytes = 0;
  for (GuardedProcess& process : processes) {
    process.pss_bytes = core::pss_bytes(process.pid);
    bytes += process.pss_bytes.value_or(process.rss_bytes);
  }
  return bytes;
}

class Guard {
 public:
  Guard(const GuardOptions& options, const std::function<void(const GuardEvent&)>& tell)
      : options_(options), tell_(tell) {}

  GuardOutcome run();

 private:
  enum class State { kWatching, kTerminating, kKilling };

  bool finished();
  Clock::time_point wake_up() const;
  void act();
  void reap();
  void pass_on(const ReceivedSignal& received);
  bool sent_to_group(const ReceivedSignal& received);
  void look();
  void terminate(const GuardEvent& event, const std::vector<core::Process>& processes);
  void kill_all();
  void tell_who_is_left(GuardEvent::Kind kind);

  const GuardOptions& options_;
  const std::function<void(const GuardEvent&)>& tell_;
  Subreaper subreaper_;
  SignalRelay relay_;
  core::ProcessTree tree_{::getpid()};
  GuardOutcome outcome_;
  State state_ = State::kWatching;
  pid_t command_ = 0;
  bool childless_ = false;
  bool killed_told_ = false;
  Clock::time_point next_look_;
  Clock::time_point next_confirm_;
  Clock::time_point deadline_;  ///< of the grace period, then of killing
  std::optional<Clock::time_point> left_behind_at_;
};

GuardOutcome Guard::run() {
  static_cast<void>(tree_.descendants());  // while nothing is lost when it fails
  const StartedCommand started = start_command(options_.command, relay_);
  outcome_.start_error = started.error_number;
  if (started.error_number != 0) return outcome_;
  command_ = started.pid;
  const Clock::time_point start = Clock::now();
  next_look_ = next_confirm_ = start;
  tell_({GuardEvent::Kind::kStarted, 0, {{command_, 0, std::nullopt, core::command_text(command_)}}});
  while (!finished()) {
    const auto pause = std::chrono::ceil<milliseconds>(wake_up() - Clock::now());
    relay_.wait(static_cast<int>(std::clamp<std::int64_t>(pause.count(), 0, 60'000)));
    for (const ReceivedSignal& received : relay_.take()) pass_on(received);
    reap();
    act();
  }
  outcome_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return outcome_;
}

/// True when there is nothing left to wait for.
bool Guard::finished() {
  if (childless_) return true;
  if (state_ == State::kWatching) return outcome_.wait_status && !options_.wait_for_descendants;
  if (state_ != State::kKilling || Clock::now() < deadline_) return false;
  tell_who_is_left(GuardEvent::Kind::kSurvived);
  return true;
}

Clock::time_point Guard::wake_up() const {
  return state_ == State::kTerminating ? std::min(next_look_, deadline_) : next_look_;
}

void Guard::act() {
  if (childless_) return;
  const Clock::time_point now = Clock::now();
  if (state_ == State::kTerminating && now >= deadline_) {
    state_ = State::kKilling;
    deadline_ = now + kKillPatience;
    next_look_ = now;
  }
  if (now < next_look_) return;
  if (state_ == State::kKilling) {
    kill_all();
    next_look_ = now + kKillRound;
    return;
  }
  look();
  if (left_behind_at_ && now >= *left_behind_at_ && state_ == State::kWatching) {
    left_behind_at_.reset();
    tell_who_is_left(GuardEvent::Kind::kLeftBehind);
  }
  next_look_ = now + options_.interval;
}

/// Waits for every child that has ended: the command, and orphans of the tree.
void Guard::reap() {
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid != command_) continue;
    outcome_.wait_status = status;
    left_behind_at_ = Clock::now() + kLeftBehindDelay;
  }
  childless_ = pid < 0;
}

void Guard::pass_on(const ReceivedSignal& received) {
  if (outcome_.wait_status) {
    // What the command left behind need not share the terminal: all of it hears of every signal.
    for (const core::Process& process : tree_.descendants()) core::send_signal(process.id, received.number);
  } else if (!sent_to_group(received)) {
    ::kill(command_, received.number);  // not reaped yet, so the number is still its own
  }
}

/// Whether the signal has reached the command without us. The kernel signals the whole process group, and so
/// does a process of the tree that signals its own (`kill 0`). A kill(2) of the group from elsewhere looks
/// like one of this process alone, and reaches the command twice.
bool Guard::sent_to_group(const ReceivedSignal& received) {
  if (::getpgid(command_) != ::getpgrp()) return false;
  if (received.from_kernel) return true;
  if (received.sender == 0 || ::getpgid(received.sender) != ::getpgrp()) return false;
  const auto processes = tree_.descendants();
  return std::any_of(processes.begin(), processes.end(),
                     [&received](const core::Process& process) { return process.id.pid == received.sender; });
}

/// Compares the tree's memory with the limit.
void Guard::look() {
  const auto processes = tree_.descendants();
  const std::int64_t rss = sum_rss(processes);
  ++outcome_.looks;
  outcome_.peak_rss_bytes = std::max(outcome_.peak_rss_bytes, rss);
  const Clock::time_point start = Clock::now();
  if (state_ != State::kWatching || rss <= options_.limit_bytes || start < next_confirm_) return;
  GuardEvent event{GuardEvent::Kind::kExceeded, 0, describe(processes)};
  event.memory_bytes = take_pss(event.processes);
  const Clock::time_point end = Clock::now();
  next_confirm_ = end + (end - start) * kConfirmShare;
  outcome_.peak_pss_bytes = std::max(outcome_.peak_pss_bytes, event.memory_bytes);
  if (event.memory_bytes > options_.limit_bytes) terminate(event, processes);
}

void Guard::terminate(const GuardEvent& event, const std::vector<core::Process>& processes) {
  for (const core::Process& process : processes) {
    core::send_signal(process.id, SIGTERM);
    core::send_signal(process.id, SIGCONT);  // one that is stopped would not notice
  }
  state_ = State::kTerminating;
  deadline_ = Clock::now() + options_.grace;
  outcome_.limit_exceeded = true;
  tell_(event);
}

/// One round of killing. Stopping first keeps a tree that forks all the time from outrunning the signals.
void Guard::kill_all() {
  std::vector<core::Process> processes;
  std::unordered_set<pid_t> stopped;
  for (bool grown = true; grown;) {
    grown = false;
    processes = tree_.descendants();
    for (const core::Process& process : processes) {
      if (stopped.insert(process.id.pid).second && core::send_signal(process.id, SIGSTOP)) grown = true;
    }
  }
  GuardEvent event{GuardEvent::Kind::kKilled, sum_rss(processes), {}};
  if (!killed_told_) event.processes = describe(processes);
  for (const core::Process& process : processes) core::send_signal(process.id, SIGKILL);
  if (!killed_told_ && !processes.empty()) tell_(event);
  killed_told_ = killed_told_ || !processes.empty();
}

void Guard::tell_who_is_left(GuardEvent::Kind kind) {
  const auto processes = tree_.descendants();
  if (!processes.empty()) tell_({kind, sum_rss(processes), describe(processes)});
}

}  // namespace

GuardOutcome guard(const GuardOptions& options, const std::function<void(const GuardEvent&)>& tell) {
  return Guard(options, tell).run();
}

}  // namespace phase0::run
