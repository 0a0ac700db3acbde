#include "core/memory_groups.h"

#include <algorithm>
#include <optional>

namespace phase0::core {
namespace {

/// Names of a group's files in one version of the interface.
struct CgroupFiles {
  const char* usage;
  const char* inactive_file;  ///< field of memory.stat, descendants included
  const char* active_file;
};
constexpr CgroupFiles kVersion1 = {"memory.usage_in_bytes", "total_inactive_file", "total_active_file"};
constexpr CgroupFiles kVersion2 = {"memory.current", "inactive_file", "active_file"};

/// What a group has in use and cannot drop: its usage without the page cache. Pages of tmpfs are none.
std::int64_t held_bytes(const CgroupFolder& group, const CgroupFiles& files) {
  const std::int64_t usage = read_number(group.path + "/" + files.usage).value_or(0);
  const std::string stat = group.path + "/memory.stat";
  const std::int64_t cache =
      read_field(stat, files.inactive_file).value_or(0) + read_field(stat, files.active_file).value_or(0);
  return std::max<std::int64_t>(usage - cache, 0);
}

void consider_group(const CgroupFolder& group, const CgroupFiles& files, std::optional<std::int64_t> limit,
                    const std::string& source, std::vector<GroupMemory>& found) {
  if (!limit || *limit < 0 || *limit >= kUnlimitedBytes) return;
  found.push_back({*limit, held_bytes(group, files), source + " of " + group.name});
}

}  // namespace

MemoryGroups::MemoryGroups(const SystemFiles& files)
    : v1_(cgroup_folders(files, "memory")), v2_(cgroup_folders(files, "")) {
  if (!v2_.empty()) v2_folder_ = v2_.front().path;
}

std::vector<GroupMemory> MemoryGroups::read() const {
  std::vector<GroupMemory> found;
  for (const CgroupFolder& group : v2_) {
    consider_group(group, kVersion2, read_number(group.path + "/memory.max"), "cgroup v2 memory.max", found);
  }
  for (const CgroupFolder& group : v1_) {
    // The hierarchical limit knows of ancestors that cannot be seen from here.
    consider_group(group, kVersion1, read_field(group.path + "/memory.stat", "hierarchical_memory_limit"),
                   "cgroup v1 hierarchical_memory_limit", found);
    consider_group(group, kVersion1, read_number(group.path + "/memory.limit_in_bytes"),
                   "cgroup v1 memory.limit_in_bytes", found);
  }
  return found;
}

}  // namespace phase0::core
