#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "core/memory_groups.h"

namespace phase0::core {

/// Memory figures of one moment, in bytes; negative where the kernel does not say.
struct MemoryReading {
  std::int64_t rss_anon = 0, rss_file = 0, rss_shmem = 0;  ///< of this process
  std::int64_t group_unreclaimable = -1;  ///< of the cgroup: usage less the page cache, which can be dropped
  std::int64_t group_limit = -1;          ///< of that cgroup, -1 without one
  std::string group_source = {};          ///< the file and group that the limit stands in
  double stalled_percent = -1;            ///< PSI: share of the last 10 s in which a task waited for memory

  std::int64_t rss() const { return rss_anon + rss_file + rss_shmem; }
  /// What of it cannot be dropped: this process's part of what the group holds.
  std::int64_t held() const { return rss_anon + rss_shmem; }
};

/// Reads the figures of this process: /proc/self/status, the memory control group that is nearest to its
/// limit, and PSI of the v2 group or of the machine.
class MemoryReader {
 public:
  MemoryReader();
  MemoryReading read() const;

 private:
  MemoryGroups groups_;
  std::string pressure_path_;
};

/// Watches the process against its budget from a thread of its own, every 100 ms. Over 85 % of the budget (or
/// of the cgroup's limit, or when tasks stall for memory) it raises pressure, on which scans give free
/// memory back and keep less in flight; when the process is over the budget for a second on end all the same,
/// check() stops the stage. So it does when the group is full, before the kernel kills somebody in it; but
/// not when the group would be as good as full without this process, whose end would then help nobody.
/// check() and under_pressure() may be called from any thread.
class MemoryMonitor {
 public:
  using Read = std::function<MemoryReading()>;

  /// Starts the thread.
  explicit MemoryMonitor(std::int64_t budget_bytes);
  /// Without a thread: the caller samples. For tests.
  MemoryMonitor(std::int64_t budget_bytes, Read read);
  ~MemoryMonitor();
  MemoryMonitor(const MemoryMonitor&) = delete;
  MemoryMonitor& operator=(const MemoryMonitor&) = delete;

  /// Takes a reading in.
  void sample();
  bool under_pressure() const { return pressure_.load(std::memory_order_relaxed); }
  /// Throws Error (kMemory) that says what grew, once the process has been over the budget, or its group
  /// full, for kPatience samples in turn.
  void check() const {
    if (samples_over_.load(std::memory_order_relaxed) >= kPatience) stop();
  }
  /// What the stage was to take, for the message.
  void set_planned_bytes(std::int64_t bytes) { planned_bytes_ = bytes; }

  static constexpr std::chrono::milliseconds kInterval{100};
  static constexpr int kPatience = 10;

 private:
  void loop();
  bool over_budget(const MemoryReading& reading) const { return reading.rss() > budget_bytes_; }
  [[noreturn]] void stop() const;

  std::int64_t budget_bytes_;
  std::atomic<std::int64_t> planned_bytes_{0};
  Read read_;
  std::atomic<bool> pressure_{false};
  std::atomic<int> samples_over_{0};
  mutable std::mutex mutex_;  ///< of what follows
  std::condition_variable wake_;
  bool closing_ = false;
  MemoryReading first_, last_;
  bool has_first_ = false;
  std::thread thread_;
};

}  // namespace phase0::core
