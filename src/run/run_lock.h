#pragma once

#include <string>

namespace phase0::run {

/// Makes this process the only one that writes a run directory, for as long as it lives: flock(2) on
/// RUN/.lock, which the kernel gives back when a process dies. Waits a moment for one that is just ending.
/// Move-only.
class RunLock {
 public:
  RunLock() = default;
  /// Throws Error (kStorage) that names the holder.
  explicit RunLock(const std::string& run_dir);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace phase0::run
