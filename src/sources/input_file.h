#pragma once

#include <cstdint>
#include <string>

#include "phase0/error.h"
#include "store/posix_file.h"

namespace phase0::sources {

/// A regular file, open for reading. Errors are kData when it is not one or ends too early.
class InputFile {
 public:
  InputFile() = default;
  explicit InputFile(const std::string& path);
  /// One that is open; messages call it `path`.
  InputFile(store::FileDescriptor file, const std::string& path);

  const std::string& path() const { return path_; }
  std::int64_t size() const { return size_; }
  explicit operator bool() const { return static_cast<bool>(file_); }
  void read(std::int64_t offset, std::int64_t n, void* out) const;
  /// Throws Error (kData) at `offset` of this file.
  [[noreturn]] void fail(const std::string& message, std::int64_t offset = -1,
                         const std::string& sequence = "") const;

 private:
  store::FileDescriptor file_;
  std::string path_;
  std::int64_t size_ = 0;
};

}  // namespace phase0::sources
