#include "cli/guard.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "cli/guard_report.h"
#include "config/duration.h"
#include "config/value.h"
#include "core/memory.h"
#include "phase0/error.h"
#include "run/guard.h"

namespace phase0::cli {
namespace {

using std::chrono::milliseconds;

milliseconds parse_time(const char* flag, const std::string& text, milliseconds least) {
  const auto time = config::parse_duration(text);
  if (time && *time >= least) return *time;
  ErrorPlace place;
  place.path = flag;
  throw Error(ErrorKind::kConfig,
              std::string("expected ") + config::kDurationExpected + ", got " + config::quote(text), place);
}

int exit_code_of(const run::GuardOutcome& outcome) {
  if (outcome.start_error != 0) return outcome.start_error == ENOENT ? kNotFoundCode : kCannotRunCode;
  if (outcome.limit_exceeded) return kLimitExceededCode;
  const int status = outcome.wait_status.value();
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Ends this process by `signal`, so that the caller sees what it would see of the command itself. The core
/// dump, if any, was the command's.
void die_of(int signal) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  std::raise(signal);
}

}  // namespace

int run_guard(const CommandLine& line) {
  const GuardFlags& flags = line.guard;
  const auto limit = core::MemoryBudget::from_options(parse_memory_flag("--limit", flags.limit));
  run::GuardOptions options;
  options.command = flags.command;
  options.limit_bytes = limit.bytes();
  options.grace = parse_time("--grace", flags.grace, milliseconds(0));
  options.interval = parse_time("--interval", flags.interval, milliseconds(1));
  options.wait_for_descendants = !flags.no_wait;

  GuardReport report(options, limit.source(), flags.log, line.verbose);
  const run::GuardOutcome outcome =
      run::guard(options, [&report](const run::GuardEvent& event) { report.tell(event); });
  const int code = exit_code_of(outcome);
  report.finish(outcome, code);
  if (!outcome.limit_exceeded && outcome.wait_status && WIFSIGNALED(*outcome.wait_status))
    die_of(WTERMSIG(*outcome.wait_status));
  return code;
}

}  // namespace phase0::cli
