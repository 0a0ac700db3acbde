#pragma once

#include <optional>

#include "config/field.h"
#include "phase0/options.h"

namespace phase0::config {

/// The first value that is out of its bounds or does not agree with another one, or nothing.
std::optional<Problem> find_problem(const Options& options);

}  // namespace phase0::config
