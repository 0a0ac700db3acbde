#include "store/file_system.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "store/posix_file.h"

namespace phase0::store {

std::string nearest_existing(const std::string& path) {
  std::string existing = path;
  struct stat status {};
  while (::stat(existing.c_str(), &status) != 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    if (!missing || existing == "." || existing == "/") throw_errno("look at", path);
    existing = parent_folder(existing);
  }
  return existing;
}

std::int64_t free_disk_bytes(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(nearest_existing(path).c_str(), &status) != 0) {
    throw_errno("ask for the free space of", path);
  }
  return static_cast<std::int64_t>(status.f_bavail) * static_cast<std::int64_t>(status.f_frsize);
}

bool lies_in_memory(const std::string& path) {
  struct statfs status {};
  if (::statfs(nearest_existing(path).c_str(), &status) != 0) throw_errno("ask for the file system of", path);
  const auto type = static_cast<std::uint64_t>(status.f_type) & 0xffffffff;  // the kernel's are of 32 bits
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

std::uint64_t device_of(const std::string& path) {
  struct stat status {};
  return ::stat(nearest_existing(path).c_str(), &status) == 0 ? status.st_dev : 0;
}

}  // namespace phase0::store
