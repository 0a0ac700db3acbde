#pragma once

#include "config/field.h"
#include "phase0/options.h"

namespace phase0::config {

/// Every key of a configuration, in the order of a dump. The one place that knows their names and bounds.
const Table<Options>& options_table();

/// What a configuration starts from: Options with the three conditions that a missing `clustering.conditions`
/// means.
Options default_options();

}  // namespace phase0::config
