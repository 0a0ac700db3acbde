#pragma once

#include <string>
#include <utility>
#include <vector>

namespace phase0::store {

/// Names and versions of the storage libraries at run time.
std::vector<std::pair<std::string, std::string>> library_versions();

}  // namespace phase0::store
