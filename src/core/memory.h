#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "core/system_files.h"
#include "phase0/options.h"

namespace phase0::core {

/// What the process may really use, and which limit said so.
struct AvailableMemory {
  std::int64_t bytes = 0;
  std::string source;  ///< `MemAvailable`, `cgroup v2 memory.max of /user.slice`, `RLIMIT_AS`, ...
};
/// The minimum over MemAvailable, RLIMIT_DATA, RLIMIT_AS and the limits of the process's cgroup and every
/// ancestor, v1 and v2. Of a group counts what its limit leaves free: others may share it, and what they hold
/// is not ours to use; their page cache is, because the kernel drops it for us.
AvailableMemory available_memory(const SystemFiles& files = {});

/// What is left of that for the page cache, beside a process that takes `budget_bytes`; the limits of
/// resources do not bound it.
std::int64_t page_cache_bytes(std::int64_t budget_bytes, const SystemFiles& files = {});

/// Peak resident set of the process in bytes (VmHWM), file pages included.
std::int64_t peak_rss_bytes();
/// Resident set now.
std::int64_t current_rss_bytes();
/// Starts a new peak, so that stages of one process can be told apart. False where the kernel refuses.
bool reset_peak_rss();

/// Gives what the allocator holds free back to the kernel, so that it does not count as resident.
void trim_heap();

/// `1.5 GiB`, `12.0 MiB`, `512 B`: for messages.
std::string format_bytes(std::int64_t bytes);

class MemoryBudget;

/// A piece of the budget, given back when it goes. Move-only.
class Reservation {
 public:
  Reservation() = default;
  Reservation(MemoryBudget& budget, std::int64_t bytes, const std::string& purpose);
  ~Reservation();
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  std::int64_t bytes() const { return bytes_; }

 private:
  MemoryBudget* budget_ = nullptr;
  std::int64_t bytes_ = 0;
};

/// The stated memory of a run. Thread-safe.
class MemoryBudget {
 public:
  /// `auto` is half of what is available.
  static MemoryBudget from_options(const MemoryOptions& options, const SystemFiles& files = {});
  MemoryBudget(std::int64_t bytes, std::string source) : bytes_(bytes), source_(std::move(source)) {}
  MemoryBudget(MemoryBudget&& other) noexcept
      : bytes_(other.bytes_), source_(std::move(other.source_)), reserved_(other.reserved_.load()) {}

  std::int64_t bytes() const { return bytes_; }
  const std::string& source() const { return source_; }
  std::int64_t reserved_bytes() const { return reserved_.load(); }
  /// What is neither reserved nor set aside for the program itself.
  std::int64_t free_bytes() const { return bytes_ - kBaseBytes - reserved_.load(); }

  /// Code, libraries, thread stacks, the heap's odds and ends: counted in every plan.
  static constexpr std::int64_t kBaseBytes = std::int64_t{30} << 20;

 private:
  friend class Reservation;
  std::int64_t bytes_;
  std::string source_;
  std::atomic<std::int64_t> reserved_{0};
};

}  // namespace phase0::core
