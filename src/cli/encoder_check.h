#pragma once

#include "cli/options.h"
#include "phase0/observer.h"

namespace phase0::cli {

/// Runs `phase0 encoder-check`: prints a line for each check. Throws Error: kData when one has failed.
void check_encoder(const CommandLine& line, const Observer& observer);

}  // namespace phase0::cli
