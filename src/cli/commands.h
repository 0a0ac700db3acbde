#pragma once

#include "cli/options.h"
#include "phase0/observer.h"

namespace phase0::cli {

/// Does what the command line asks for and prints its results to stdout. Throws Error.
void execute(const CommandLine& line, Observer& observer);

}  // namespace phase0::cli
