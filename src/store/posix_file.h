#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "phase0/error.h"

/// Descriptors and the few system calls that the store makes, with errno turned into Error (kStorage; kMemory
/// for ENOMEM).
namespace phase0::store {

/// `offset`: where in the file, if that is known. A full disk also says how much is free.
[[noreturn]] void throw_errno(const std::string& operation, const std::string& path, int error = errno,
                              std::int64_t offset = -1);

/// Owns a file descriptor. Move-only.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Closes; for files that were only read.
  void reset();
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// Calls again what a signal interrupted.
template <typename Call>
auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// open(2) with O_CLOEXEC.
FileDescriptor open_file(const std::string& path, int flags);
/// Another descriptor of the same open file, with O_CLOEXEC.
FileDescriptor duplicate(const FileDescriptor& file, const std::string& path);
/// Opens a file of phase0's own for writing, and creates it when it is not there. A link or anything else
/// that is no regular file, which somebody else must have put there, is not followed but refused with Error
/// (kStorage).
FileDescriptor create_file(const std::string& path, int flags);
/// flock(2) without waiting, `how` being LOCK_EX or LOCK_SH; true also where the file system has no locks.
/// False: errno, EWOULDBLOCK when another has it.
bool try_lock(const FileDescriptor& file, int how);
/// Keeps other writers that ask out of an open file, for as long as it or a duplicate is open, where the file
/// system has locks. Throws Error (kStorage) when another has it.
void lock_file(const FileDescriptor& file, const std::string& path);
/// Whether `path` is a name of the open file, and not of another or none: whoever had the lock may have
/// renamed or removed it. Throws Error (kStorage).
bool has_name(const FileDescriptor& file, const std::string& path);
/// Removes that name of a file that this process has locked, if it has it and it can be removed.
void remove_own(const FileDescriptor& file, const std::string& path) noexcept;
/// create_file() and lock_file() of a file that then still has this name.
FileDescriptor create_locked_file(const std::string& path, int flags);
/// close(2) of a file that was written. A failure is final, as that of an fsync is.
void close_file(FileDescriptor& file, const std::string& path);
/// Opens a regular file for reading; anything else there (a folder, a pipe) is an Error of kind `damage`.
FileDescriptor open_regular_file(const std::string& path, ErrorKind damage);
std::int64_t file_size(const FileDescriptor& file, const std::string& path);
/// Disk space that it owns, reserved ranges included.
std::int64_t allocated_bytes(const FileDescriptor& file, const std::string& path);

/// Reads exactly [offset, offset + size). A file that ends earlier is an Error of kind `damage`.
void read_exactly(const FileDescriptor& file, std::int64_t offset, std::int64_t size, void* out,
                  const std::string& path, ErrorKind damage);
void write_exactly(const FileDescriptor& file, std::int64_t offset, std::int64_t size, const void* data,
                   const std::string& path);

/// Makes sure that bytes [offset, offset + size) own disk blocks, with zeros where nothing was written: a
/// full disk shows here, not as a SIGBUS later. The file must not hold data there where it cannot be
/// allocated ahead.
void reserve_range(const FileDescriptor& file, std::int64_t offset, std::int64_t size,
                   const std::string& path);
/// Error (kStorage) that says how much space `path` needs and how much is free.
[[noreturn]] void throw_disk_full(const std::string& path, std::int64_t needed_bytes,
                                  std::int64_t offset = -1);
/// ftruncate(2).
void resize_file(const FileDescriptor& file, std::int64_t size, const std::string& path);

/// fsync. A failure is final: the kernel may have dropped the dirty pages, so it is never retried.
void sync_file(const FileDescriptor& file, const std::string& path);
/// `.` for a path without a folder.
std::string parent_folder(const std::string& path);
/// Makes the names in the folder of `path` durable.
void sync_parent_folder(const std::string& path);
/// rename(2), then sync_parent_folder().
void rename_durably(const std::string& from, const std::string& to);

}  // namespace phase0::store
