#include "store/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "core/memory.h"
#include "store/commit_step.h"
#include "store/posix_file.h"

namespace phase0::store {

AtomicFile::AtomicFile(const std::string& path)
    : path_(path), temporary_(path + ".partial"), lock_(create_locked_file(temporary_, O_WRONLY)) {
  try {
    file_ = duplicate(lock_, temporary_);
    if (file_size(file_, temporary_) > 0) resize_file(file_, 0, temporary_);
    commit_step(path_, "created");
  } catch (...) {
    remove_own(lock_, temporary_);
    throw;
  }
}

AtomicFile::~AtomicFile() {
  if (!keep_) remove_own(lock_, temporary_);
}

void AtomicFile::finish() {
  commit_step(path_, "written");
  sync_file(file_, temporary_);
  commit_step(path_, "synced");
  close_file(file_, temporary_);
}

void AtomicFile::commit() {
  PHASE0_CHECK(!file_);
  rename_durably(temporary_, path_);
}

void write_file_atomically(const std::string& path, const WriteFile& write) {
  AtomicFile file(path);
  write(file.file(), file.temporary());
  file.finish();
  file.commit();
}

void write_file_atomically(const std::string& path, std::string_view contents) {
  write_file_atomically(path, [contents](const FileDescriptor& file, const std::string& temporary) {
    write_exactly(file, 0, std::ssize(contents), contents.data(), temporary);
  });
}

std::string read_file(const std::string& path, std::int64_t max_bytes) {
  const FileDescriptor file = open_regular_file(path, ErrorKind::kStorage);
  const std::int64_t size = file_size(file, path);
  if (size > max_bytes) {
    throw Error(ErrorKind::kStorage,
                fmt::format("is larger ({}) than it may be ({})", core::format_bytes(size),
                            core::format_bytes(max_bytes)),
                ErrorPlace{.path = path});
  }
  std::string contents(static_cast<std::size_t>(size), '\0');
  read_exactly(file, 0, size, contents.data(), path, ErrorKind::kStorage);
  return contents;
}

void remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove", path);
}

void create_folders(const std::string& path) {
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    const std::string folder = path.substr(0, end);
    if (::mkdir(folder.c_str(), 0777) == 0) {
      sync_parent_folder(folder);
    } else {
      const int error = errno;  // a read-only parent that exists already reports EROFS or EACCES
      struct stat status {};
      if (::stat(folder.c_str(), &status) != 0) throw_errno("create folder", folder, error);
      if (!S_ISDIR(status.st_mode)) throw_errno("create folder", folder, ENOTDIR);
    }
  }
}

void check_can_create_folders(const std::string& path) {
  std::string existing = path.starts_with('/') ? "/" : ".";
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    const std::string folder = path.substr(0, end);
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) {
      if (errno != ENOENT || ::access(existing.c_str(), W_OK | X_OK) != 0) {
        throw_errno("create folder", folder);
      }
      return;
    }
    if (!S_ISDIR(status.st_mode)) throw_errno("create folder", folder, ENOTDIR);
    existing = folder;
  }
  if (::access(path.c_str(), W_OK | X_OK) != 0) throw_errno("create files in", path);
}

}  // namespace phase0::store
