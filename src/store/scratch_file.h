#pragma once

#include <string>

#include "store/posix_file.h"

namespace phase0::store {

/// A new file without a name in `folder`, gone with the descriptor. Throws Error (kStorage).
FileDescriptor open_scratch_file(const std::string& folder);

}  // namespace phase0::store
