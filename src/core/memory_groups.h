#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cgroup.h"

namespace phase0::core {

/// Limits from here on are none: version 1 of control groups writes "no limit" as the largest multiple of a
/// page.
inline constexpr std::int64_t kUnlimitedBytes = std::int64_t{1} << 60;

/// Memory of a control group that has a limit.
struct GroupMemory {
  std::int64_t limit_bytes = 0;
  std::int64_t held_bytes = 0;  ///< in use and not to be dropped: usage without page cache; tmpfs is held
  std::string source;           ///< the file and group that the limit stands in
};

/// The memory control groups of this process and their ancestors, v1 and v2.
class MemoryGroups {
 public:
  explicit MemoryGroups(const SystemFiles& files);

  /// Of those that have a limit, as of now.
  std::vector<GroupMemory> read() const;
  /// The process's own v2 group; empty without one.
  const std::string& v2_folder() const { return v2_folder_; }

 private:
  std::vector<CgroupFolder> v1_, v2_;
  std::string v2_folder_;
};

}  // namespace phase0::core
