#pragma once

#include <cstdint>
#include <string>

namespace phase0::core {

/// A figure in kB from a /proc file of `name: value kB` lines, in bytes; -1 when it is not there.
std::int64_t proc_kb(const char* path, const std::string& name);

/// Path of this process in a cgroup hierarchy: `controller` of v1, or v2 when empty. Empty when it is in
/// none.
std::string cgroup_path(const std::string& controller);

}  // namespace phase0::core
