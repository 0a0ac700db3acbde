#pragma once

#include "cli/options.h"

namespace phase0::cli {

/// What `phase0 guard` ends with beside the command's own code: 100 + that of a memory budget too small,
/// which keeps clear of the codes of phase0 itself, of sysexits.h (64-78), of timeout(1) and env(1) (124-127)
/// and of signals (128 and more).
inline constexpr int kLimitExceededCode = 104;
inline constexpr int kCannotRunCode = 126;
inline constexpr int kNotFoundCode = 127;

/// Runs `phase0 guard` and gives the exit code. Does not return when the command died of a signal: this
/// process then dies of the same. Throws Error for bad flags and what keeps the command from being watched.
int run_guard(const CommandLine& line);

}  // namespace phase0::cli
