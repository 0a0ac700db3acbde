#include <malloc.h>

#include <exception>
#include <new>
#include <optional>
#include <string>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/guard.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/terminal_observer.h"
#include "core/text.h"
#include "phase0/error.h"
#include "store/h5_exit.h"

namespace phase0::cli {
namespace {

/// Runs `work`; gives the exit code, after `fail(message, exit_code)` when it is not 0.
template <typename Work, typename Fail>
int guarded(const Work& work, const Fail& fail) {
  int code = 0;
  std::string message;
  try {
    work();
    return 0;
  } catch (const Error& error) {
    code = error.exit_code();
    message = error.what();
  } catch (const std::bad_alloc&) {
    code = static_cast<int>(ErrorKind::kMemory);
    message = "out of memory: the machine gave less than the budget; try a smaller --memory";
  } catch (const std::exception& error) {
    code = static_cast<int>(ErrorKind::kInternal);
    message = std::string("internal error: ") + error.what();
  }
  fail(message, code);
  return code;
}

void fail_on_stderr(const std::string& message, int /*exit_code*/) {
  write_stderr("phase0: error: " + core::printable(message) + "\n");
}

int run_command(const CommandLine& line) {
  std::optional<TerminalObserver> observer;
  const int setup = guarded([&] { observer.emplace(line); }, fail_on_stderr);
  if (setup != 0) return setup;
  observer->command_begins(line.command_name);
  const int code =
      guarded([&] { execute(line, *observer); },
              [&](const std::string& message, int exit_code) {
                const bool again = line.fresh && exit_code == static_cast<int>(ErrorKind::kInterrupted);
                observer->command_fails(again ? message + " (without --fresh)" : message, exit_code);
              });
  observer->command_ends(code);
  let_signals_end(code);
  return code;
}

/// Large buffers go back to the kernel when they are freed, and small ones come from one place instead of an
/// arena for each thread, which would all keep what was freed: the budget counts what is resident, not what
/// is in use. Workers allocate too little for a single arena to slow them down.
void give_memory_back_at_once() {
  constexpr int kLargeBytes = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, kLargeBytes);
  mallopt(M_ARENA_MAX, 1);
}

int run_program(int argc, const char* const* argv) {
  occupy_standard_descriptors();
  give_memory_back_at_once();
  store::leave_hdf5_at_exit();
  const ParsedCommandLine parsed = parse_command_line(argc, argv);
  // The guarded command is to find the signals as this process was given them.
  if (parsed.line && parsed.line->command == Command::kGuard) return run_guard(*parsed.line);
  install_signal_handlers(SignalMode::kImmediate);
  install_bus_error_handler();
  if (!parsed.line) {
    if (!parsed.is_error) return guarded([&] { write_stdout(parsed.text); }, fail_on_stderr);
    fail_on_stderr(parsed.text, 0);
    return static_cast<int>(ErrorKind::kConfig);
  }
  if (parsed.line->command != Command::kInspect) install_signal_handlers(SignalMode::kFinishUnit);
  return run_command(*parsed.line);
}

}  // namespace
}  // namespace phase0::cli

int main(int argc, char** argv) {
  int code = 0;
  const int failure =
      phase0::cli::guarded([&] { code = phase0::cli::run_program(argc, argv); }, phase0::cli::fail_on_stderr);
  return failure != 0 ? failure : code;
}
