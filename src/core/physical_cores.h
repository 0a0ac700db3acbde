#pragma once

#include "core/system_files.h"

namespace phase0::core {

/// Cores behind the processors that the process may use (available_threads): two hardware threads of a core
/// count once. Where the system does not tell, each processor counts. At least 1.
int physical_cores(const SystemFiles& files = {});

}  // namespace phase0::core
