#include "cli/guard_report.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "cli/console.h"
#include "cli/quietly.h"
#include "core/memory.h"
#include "core/text.h"

namespace phase0::cli {
namespace {

using run::GuardEvent;
using Kind = GuardEvent::Kind;

constexpr std::size_t kShownProcesses = 10;
constexpr std::size_t kShownCommand = 120;  // characters

/// One line to stderr. A reader that has stalled must not hold up the watch, so it waits a moment at most.
void say(const char* level, const std::string& text) {
  pollfd writable{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&writable, 1, 100) == 1)
    write_stderr(fmt::format("phase0: {}: {}\n", level, core::printable(text)));
}

double seconds_of(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

std::string count_processes(std::size_t count) {
  return count == 1 ? "1 process" : fmt::format("{} processes", count);
}

nlohmann::ordered_json to_json(const run::GuardedProcess& process) {
  nlohmann::ordered_json json = {{"pid", process.pid}, {"rss_bytes", process.rss_bytes}};
  if (process.pss_bytes) json["pss_bytes"] = *process.pss_bytes;
  json["command"] = process.command;
  return json;
}

/// The largest processes, one a line.
void say_processes(const char* level, const std::vector<run::GuardedProcess>& processes) {
  for (std::size_t i = 0; i < std::min(processes.size(), kShownProcesses); ++i) {
    const run::GuardedProcess& process = processes[i];
    say(level, fmt::format("  pid {}, RSS {}: {}", process.pid, core::format_bytes(process.rss_bytes),
                           process.command.substr(0, kShownCommand)));
  }
  if (processes.size() > kShownProcesses)
    say(level, fmt::format("  and {} more", processes.size() - kShownProcesses));
}

const char* event_name(Kind kind) {
  switch (kind) {
    case Kind::kStarted:
      return "start";
    case Kind::kExceeded:
      return "exceeded";
    case Kind::kKilled:
      return "killed";
    case Kind::kLeftBehind:
      return "left_behind";
    case Kind::kSurvived:
      return "survived";
  }
  return "unknown";
}

std::string describe_end(const run::GuardOutcome& outcome) {
  if (!outcome.wait_status) return "did not end";
  if (WIFSIGNALED(*outcome.wait_status))
    return fmt::format("died of signal {} ({})", WTERMSIG(*outcome.wait_status),
                       ::strsignal(WTERMSIG(*outcome.wait_status)));
  return fmt::format("ended with code {}", WEXITSTATUS(*outcome.wait_status));
}

}  // namespace

GuardReport::GuardReport(const run::GuardOptions& options, std::string limit_source,
                         const std::string& log_path, bool verbose)
    : options_(options), limit_source_(std::move(limit_source)), log_(log_path), verbose_(verbose) {}

void GuardReport::tell(const GuardEvent& event) noexcept {
  quietly([&] { log_event(event); });
  quietly([&] { say_event(event); });
}

void GuardReport::finish(const run::GuardOutcome& outcome, int exit_code) noexcept {
  quietly([&] {
    nlohmann::ordered_json fields = {{"exit_code", exit_code},
                                     {"reason", outcome.start_error != 0 ? "not_started"
                                                : outcome.limit_exceeded ? "limit"
                                                                         : "command"}};
    if (outcome.wait_status && WIFSIGNALED(*outcome.wait_status))
      fields["command_signal"] = WTERMSIG(*outcome.wait_status);
    else if (outcome.wait_status)
      fields["command_exit_code"] = WEXITSTATUS(*outcome.wait_status);
    fields["seconds"] = outcome.seconds;
    fields["peak_rss_bytes"] = outcome.peak_rss_bytes;
    if (outcome.peak_pss_bytes > 0) fields["peak_pss_bytes"] = outcome.peak_pss_bytes;
    fields["looks"] = outcome.looks;
    log_.write("info", "exit", fields);
  });
  quietly([&] { say_outcome(outcome, exit_code); });
}

void GuardReport::log_event(const GuardEvent& event) {
  nlohmann::ordered_json fields;
  if (event.kind == Kind::kStarted) {
    fields = {
        {"pid", event.processes.front().pid},          {"command", options_.command},
        {"limit_bytes", options_.limit_bytes},         {"limit_source", limit_source_},
        {"grace_seconds", seconds_of(options_.grace)}, {"interval_seconds", seconds_of(options_.interval)}};
  } else {
    fields = {{"memory_bytes", event.memory_bytes}, {"limit_bytes", options_.limit_bytes}};
    for (const run::GuardedProcess& process : event.processes)
      fields["processes"].push_back(to_json(process));
  }
  const bool calm = event.kind == Kind::kStarted || event.kind == Kind::kLeftBehind;
  log_.write(calm ? "info" : "warning", event_name(event.kind), fields);
}

void GuardReport::say_event(const GuardEvent& event) const {
  const std::string processes = count_processes(event.processes.size());
  const std::string limit = core::format_bytes(options_.limit_bytes);
  switch (event.kind) {
    case Kind::kStarted:
      if (!verbose_) return;
      say("debug",
          fmt::format("watching pid {}: limit {} ({}), a look every {:g} s", event.processes.front().pid,
                      limit, limit_source_, seconds_of(options_.interval)));
      return;
    case Kind::kExceeded:
      say("warning", fmt::format("{}: the command's memory is {}, over the limit of {}: terminating {}",
                                 utc_now(), core::format_bytes(event.memory_bytes), limit, processes));
      break;
    case Kind::kKilled:
      say("warning", fmt::format("{}: still there {:g} s later: killing {}", utc_now(),
                                 seconds_of(options_.grace), processes));
      break;
    case Kind::kLeftBehind:
      say("info", fmt::format("the command has ended and left {} behind, watched to the end (see --no-wait)",
                              processes));
      break;
    case Kind::kSurvived:
      say("warning", fmt::format("{}: giving up on {} that cannot be killed", utc_now(), processes));
      break;
  }
  say_processes(event.kind == Kind::kLeftBehind ? "info" : "warning", event.processes);
}

void GuardReport::say_outcome(const run::GuardOutcome& outcome, int exit_code) const {
  if (outcome.start_error != 0) {
    say("error",
        fmt::format("cannot run {}: {}", options_.command.front(), std::strerror(outcome.start_error)));
  } else if (verbose_ || outcome.limit_exceeded) {
    say(outcome.limit_exceeded ? "error" : "debug",
        fmt::format("{}the command {} after {:.1f} s; peak memory {} (sum of RSS); exit code {}",
                    outcome.limit_exceeded ? "stopped at the memory limit: " : "", describe_end(outcome),
                    outcome.seconds, core::format_bytes(outcome.peak_rss_bytes), exit_code));
  }
  if (!log_.ok()) say("warning", "the log could not be written in full");
}

}  // namespace phase0::cli
