#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/error.h"
#include "store/h5_handles.h"
#include "store/posix_file.h"

namespace phase0::store {

/// An HDF5 file open for reading, with the checks that concern its links and objects.
class H5Source {
 public:
  H5Source(std::string path, ErrorKind damage);

  const std::string& path() const { return path_; }
  ErrorKind damage() const { return damage_; }
  std::int64_t file_bytes() const { return bytes_; }
  hid_t id() const { return file_.get(); }
  /// A descriptor of the same file, for reads beside HDF5.
  const FileDescriptor& descriptor() const { return descriptor_; }

  /// Throws an Error of the file's damage kind.
  [[noreturn]] void fail(const std::string& object, const std::string& message) const;

  /// Whether hard links lead to the object. Any other kind of link on the way is an Error.
  bool exists(const std::string& object) const;
  /// H5O_TYPE_GROUP, H5O_TYPE_DATASET, ... of an object that exists.
  H5O_type_t kind(const std::string& object) const;
  /// Names of a group's members in byte order.
  std::vector<std::string> members(const std::string& group) const;
  /// Opens an object that must exist.
  H5Object open(const std::string& object) const;

 private:
  std::string path_;
  ErrorKind damage_;
  FileDescriptor descriptor_;
  std::int64_t bytes_ = 0;
  H5File file_;
};

}  // namespace phase0::store
