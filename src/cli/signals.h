#pragma once

namespace phase0::cli {

/// What INT and TERM do. Either way the exit code is that of an interruption.
enum class SignalMode {
  kFinishUnit,  ///< set a flag that the work looks at; a third signal ends the process at once
  kImmediate,   ///< end the process at once: there is nothing to leave in order
};

/// Installs the handlers, and ignores SIGPIPE and SIGXFSZ: a write to a closed pipe, or beyond the largest
/// size of a file (ulimit -f), then fails instead.
void install_signal_handlers(SignalMode mode);

/// A page of a mapped file that cannot be had (SIGBUS: somebody cut the file, or its disk fails) ends the
/// process at once with a message that names file and offset, and the exit code of bad input data or of
/// storage.
void install_bus_error_handler();

/// From now on the first INT or TERM ends the process at once, with this exit code: the command is over, and
/// what is left to tidy up must not keep anyone waiting.
void let_signals_end(int exit_code);

/// True once INT or TERM has come.
bool interrupted();

}  // namespace phase0::cli
