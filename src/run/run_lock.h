#pragma once

#include <string>

#include "store/posix_file.h"

namespace phase0::run {

/// Makes this process the only one that writes a run directory, for as long as it lives: flock(2) on
/// RUN/.lock, which the kernel gives back when a process dies, so that a file left behind locks nothing out.
/// The file says who holds it, for the one who is refused. Waits a moment for one that is just ending.
/// Move-only.
class RunLock {
 public:
  RunLock() = default;
  /// Throws Error (kStorage) that names the holder: process, machine and since when.
  explicit RunLock(const std::string& run_dir);
  explicit operator bool() const { return static_cast<bool>(file_); }

 private:
  store::FileDescriptor file_;
};

}  // namespace phase0::run
