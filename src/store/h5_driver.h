#pragma once

#include <cstdint>
#include <exception>
#include <string>

#include "store/h5_handles.h"
#include "store/posix_file.h"

namespace phase0::store {

/// What HDF5 reads and writes a file through: a descriptor of ours, behind a file driver of ours. HDF5's own
/// driver tells little of what failed, opens files that children inherit, and HDF5 1.10 crashes, then and
/// again at exit, when a write of its own fails. Here the first failure is kept, with its place, and HDF5 is
/// told that all writes went well: whoever uses the file asks check().
///
/// Not thread-safe; must stay in its place and outlive the HDF5 file.
class H5Channel {
 public:
  /// `file` must stay open. `damage`: what a file that shrinks while it is read is.
  H5Channel(const FileDescriptor& file, std::string path, ErrorKind damage);
  H5Channel(const H5Channel&) = delete;
  H5Channel& operator=(const H5Channel&) = delete;

  /// Makes files that are opened or created with `access` go through this.
  void use(const H5Properties& access);

  /// Throws the first failure of a call on the file (kStorage, kMemory; `damage` where the file has ended).
  void check() const;

  // For the driver.
  std::int64_t size() const { return bytes_; }
  bool read(std::int64_t offset, std::int64_t size, void* out) noexcept;
  void write(std::int64_t offset, std::int64_t size, const void* data) noexcept;
  void resize(std::int64_t size) noexcept;
  bool lock(bool exclusive) noexcept;
  void unlock() noexcept;
  /// From now on a lock lasts as long as the file is open, though HDF5 has done with it.
  void keep_lock() { keeps_lock_ = true; }

 private:
  const FileDescriptor& file_;
  std::string path_;
  ErrorKind damage_;
  std::int64_t bytes_ = 0;  ///< the file's size as HDF5 knows it
  std::exception_ptr failure_;
  bool keeps_lock_ = false;
};

}  // namespace phase0::store
