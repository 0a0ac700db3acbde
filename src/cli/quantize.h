#pragma once

#include "cli/options.h"
#include "phase0/observer.h"

namespace phase0::cli {

/// Does `quantize` and prints what it cost. Throws Error.
void execute_quantize(const CommandLine& line, Observer& observer);

}  // namespace phase0::cli
