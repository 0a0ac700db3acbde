#pragma once

#include <string>

#include "phase0/options.h"

namespace phase0::run {

/// The latents file of an experiment: `data.latents`, or what collect makes of `data.source` in the run
/// directory.
std::string input_path(const Options& options);

/// Throws Error (kConfig) when there is a source that collect has not encoded yet.
void require_encoded(const Options& options);

}  // namespace phase0::run
