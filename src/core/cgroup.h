#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/system_files.h"

namespace phase0::core {

/// One control group: the process's own or an ancestor.
struct CgroupFolder {
  std::string path;  ///< of its files, the root of SystemFiles included
  std::string name;  ///< as the hierarchy names it: `/`, `/user.slice`, ...
};

/// The groups of this process, its own first and then every ancestor that can be seen, in the hierarchy of a
/// v1 `controller` (`memory`, `cpu`), or in the v2 one when empty. Mounts come from /proc/self/mountinfo, so
/// pure v2, v1 and hybrid machines are read alike; of a group outside the mount or the cgroup namespace only
/// the mount's top is seen. Empty when there is no such hierarchy.
std::vector<CgroupFolder> cgroup_folders(const SystemFiles& files, const std::string& controller);

/// The number a one-line file begins with; nothing when it cannot be read or is not one (`max`).
std::optional<std::int64_t> read_number(const std::string& path);

/// The value of `name` in a file of `name value` lines, or nothing.
std::optional<std::int64_t> read_field(const std::string& path, const std::string& name);

/// A figure of `name: value kB` in one of the files of /proc, in bytes, or nothing.
std::optional<std::int64_t> read_kibibytes(const std::string& path, const std::string& name);

}  // namespace phase0::core
