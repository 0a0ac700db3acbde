#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "run/signal_relay.h"

namespace phase0::run {

/// A command that runs, or why it does not.
struct StartedCommand {
  pid_t pid = 0;
  int error_number = 0;  ///< of execvp(3); 0 when it runs
};

/// Runs `command` (program, looked up in PATH, and arguments) with the descriptors, environment, signal
/// dispositions and mask, process group and terminal that this process was given. It gets SIGTERM should this
/// process (its calling thread) end first. Returns once the program runs or has failed to. Throws Error
/// (kStorage) when there are no resources for a process.
StartedCommand start_command(const std::vector<std::string>& command, const SignalRelay& relay);

}  // namespace phase0::run
