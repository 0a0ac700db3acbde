#pragma once

namespace phase0 {

/// `major.minor.patch` of the library.
const char* version();

}  // namespace phase0
