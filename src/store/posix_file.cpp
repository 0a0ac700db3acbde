#include "store/posix_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/memory.h"
#include "store/commit_step.h"
#include "store/file_system.h"
#include "store/mapped_ranges.h"

namespace phase0::store {
namespace {

constexpr int kMostAttempts = 100;     ///< to have a file before another renames it
constexpr mode_t kNewFileMode = 0666;  // cut by the umask
constexpr const char* kNotRegular = "is not a regular file";

void require_regular(const FileDescriptor& file, const std::string& path, ErrorKind kind) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_errno("stat", path);
  if (!S_ISREG(status.st_mode)) throw Error(kind, kNotRegular, ErrorPlace{.path = path});
}

/// For file systems without fallocate.
void write_zeros(const FileDescriptor& file, std::int64_t offset, std::int64_t size,
                 const std::string& path) {
  const std::vector<std::byte> zeros(std::size_t{1} << 20);
  for (std::int64_t done = 0; done < size;) {
    const std::int64_t n = std::min(size - done, static_cast<std::int64_t>(zeros.size()));
    write_exactly(file, offset + done, n, zeros.data(), path);
    done += n;
  }
}

bool is_full(int error) {
  return error == ENOSPC || error == EDQUOT;
}

/// Of a read or write between `file` and `memory`. Where the memory is a map of another file that somebody
/// has cut, the kernel says EFAULT, and that file is to blame.
[[noreturn]] void throw_transfer_failed(const std::string& operation, const std::string& path,
                                        const std::byte* memory, std::int64_t offset) {
  const int error = errno;
  const auto place = error == EFAULT ? find_mapped(memory) : std::nullopt;
  if (!place) throw_errno(operation, path, error, offset);
  const MappedFailure failure = explain(*place);
  throw Error(failure.kind, failure.message, ErrorPlace{.path = place->path, .offset = place->offset});
}

/// For a message that must not fail.
std::string free_space(const std::string& path) {
  try {
    return core::format_bytes(free_disk_bytes(path)) + " free";
  } catch (const Error&) {
    return "what is free is not known";
  }
}

/// fallocate(2); false where the file system does not have it.
bool allocate(const FileDescriptor& file, std::int64_t offset, std::int64_t size, const std::string& path) {
  if (size > free_disk_bytes(path))
    throw_disk_full(path, size, offset);  // before the attempt fills the disk for others
  if (uninterrupted([&] { return ::fallocate(file.get(), 0, offset, size); }) == 0) return true;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
  if (is_full(errno) || errno == EFBIG) throw_disk_full(path, size, offset);
  throw_errno("reserve space in", path, errno, offset);
}

}  // namespace

void throw_errno(const std::string& operation, const std::string& path, int error, std::int64_t offset) {
  const std::string full = is_full(error) ? fmt::format(" ({})", free_space(path)) : "";
  throw Error(error == ENOMEM ? ErrorKind::kMemory : ErrorKind::kStorage,
              fmt::format("cannot {}: {}{}", operation, std::strerror(error), full),
              ErrorPlace{.path = path, .offset = offset});
}

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(release());
}

FileDescriptor open_file(const std::string& path, int flags) {
  FileDescriptor file(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kNewFileMode); }));
  if (!file) throw_errno("open", path);
  return file;
}

FileDescriptor duplicate(const FileDescriptor& file, const std::string& path) {
  FileDescriptor other(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!other) throw_errno("open", path);
  return other;
}

FileDescriptor create_file(const std::string& path, int flags) {
  // A pipe must not block.
  const int all = flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  FileDescriptor file(uninterrupted([&] { return ::open(path.c_str(), all, kNewFileMode); }));
  if (!file && errno == ELOOP) throw Error(ErrorKind::kStorage, "is a link", ErrorPlace{.path = path});
  if (!file && errno == ENXIO) throw Error(ErrorKind::kStorage, kNotRegular, ErrorPlace{.path = path});
  if (!file) throw_errno("create", path);
  require_regular(file, path, ErrorKind::kStorage);
  return file;
}

bool try_lock(const FileDescriptor& file, int how) {
  if (uninterrupted([&] { return ::flock(file.get(), how | LOCK_NB); }) == 0) return true;
  return errno == ENOSYS || errno == EOPNOTSUPP;
}

void lock_file(const FileDescriptor& file, const std::string& path) {
  if (try_lock(file, LOCK_EX)) return;
  if (errno != EWOULDBLOCK) throw_errno("lock", path);
  throw Error(ErrorKind::kStorage, "is in use by another process", ErrorPlace{.path = path});
}

bool has_name(const FileDescriptor& file, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  if (::fstat(file.get(), &opened) != 0) throw_errno("stat", path);
  if (::lstat(path.c_str(), &named) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw_errno("stat", path);
  }
  return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

void remove_own(const FileDescriptor& file, const std::string& path) noexcept {
  try {
    if (has_name(file, path)) ::unlink(path.c_str());
  } catch (const std::exception&) {
    return;  // it stays, as behind a kill
  }
}

FileDescriptor create_locked_file(const std::string& path, int flags) {
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    FileDescriptor file = create_file(path, flags);
    lock_file(file, path);
    if (has_name(file, path)) return file;
  }
  throw Error(ErrorKind::kStorage, "is another file whenever it is opened", ErrorPlace{.path = path});
}

void close_file(FileDescriptor& file, const std::string& path) {
  // Linux has closed the file when it says EINTR.
  if (::close(file.release()) != 0 && errno != EINTR) throw_errno("close", path);
}

FileDescriptor open_regular_file(const std::string& path, ErrorKind damage) {
  FileDescriptor file = open_file(path, O_RDONLY | O_NONBLOCK);  // a pipe must not block
  require_regular(file, path, damage);
  return file;
}

std::int64_t file_size(const FileDescriptor& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_errno("stat", path);
  return status.st_size;
}

std::int64_t allocated_bytes(const FileDescriptor& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_errno("stat", path);
  return std::int64_t{status.st_blocks} * 512;
}

void read_exactly(const FileDescriptor& file, std::int64_t offset, std::int64_t size, void* out,
                  const std::string& path, ErrorKind damage) {
  auto* to = static_cast<std::byte*>(out);
  for (std::int64_t done = 0; done < size;) {
    const ssize_t n = uninterrupted(
        [&] { return ::pread(file.get(), to + done, static_cast<std::size_t>(size - done), offset + done); });
    if (n < 0) throw_transfer_failed("read", path, to + done, offset + done);
    if (n == 0) {
      throw Error(damage, "the file ends too early", ErrorPlace{.path = path, .offset = offset + done});
    }
    done += n;
  }
}

void write_exactly(const FileDescriptor& file, std::int64_t offset, std::int64_t size, const void* data,
                   const std::string& path) {
  const auto* from = static_cast<const std::byte*>(data);
  for (std::int64_t done = 0; done < size;) {
    const ssize_t n = uninterrupted([&] {
      return ::pwrite(file.get(), from + done, static_cast<std::size_t>(size - done), offset + done);
    });
    if (n < 0 && is_full(errno)) throw_disk_full(path, size - done, offset + done);
    if (n < 0) throw_transfer_failed("write", path, from + done, offset + done);
    done += n;
  }
}

void throw_disk_full(const std::string& path, std::int64_t needed_bytes, std::int64_t offset) {
  throw Error(ErrorKind::kStorage,
              fmt::format("disk full: needs {}, {}", core::format_bytes(needed_bytes), free_space(path)),
              ErrorPlace{.path = path, .offset = offset});
}

void resize_file(const FileDescriptor& file, std::int64_t size, const std::string& path) {
  if (uninterrupted([&] { return ::ftruncate(file.get(), size); }) != 0) throw_errno("resize", path);
}

void reserve_range(const FileDescriptor& file, std::int64_t offset, std::int64_t size,
                   const std::string& path) {
  if (size > 0 && !allocate(file, offset, size, path)) write_zeros(file, offset, size, path);
}

void sync_file(const FileDescriptor& file, const std::string& path) {
  if (uninterrupted([&] { return ::fsync(file.get()); }) != 0) throw_errno("fsync", path);
}

std::string parent_folder(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void sync_parent_folder(const std::string& path) {
  const std::string folder = parent_folder(path);
  const FileDescriptor file = open_file(folder, O_RDONLY | O_DIRECTORY);
  // Some file systems cannot fsync a folder and say so with EINVAL: nothing more can be done there.
  if (uninterrupted([&] { return ::fsync(file.get()); }) != 0 && errno != EINVAL)
    throw_errno("fsync", folder);
}

void rename_durably(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) throw_errno("rename to " + to, from);
  commit_step(to, "renamed");
  sync_parent_folder(to);
  commit_step(to, "folder_synced");
}

}  // namespace phase0::store
