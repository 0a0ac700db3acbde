#pragma once

#include <cstdint>
#include <limits>

#include "core/memory.h"
#include "core/memory_monitor.h"
#include "core/threads.h"
#include "core/tuning_table.h"
#include "core/unit_store.h"
#include "phase0/error.h"
#include "phase0/observer.h"

namespace phase0::core {

/// What every algorithm is handed: who computes, within which memory, and who is told. Outlives the call.
struct Execution {
  ThreadPool& pool;
  MemoryBudget& memory;
  Observer& observer;
  const MemoryMonitor* monitor = nullptr;  ///< none: nobody watches
  TuningTable* tuning = nullptr;           ///< none: every scan starts from the default
  UnitStore* units = nullptr;              ///< none: nothing is kept for a later start
  /// What the kernel can keep of files beside the process's own memory: larger ones are read past it.
  std::int64_t page_cache_bytes = std::numeric_limits<std::int64_t>::max();

  /// Throws Error (kInterrupted) when the caller asked to stop, kMemory when the process has outgrown the
  /// budget. Call between blocks.
  void check_stop() const {
    if (observer.stop_requested()) {
      throw Error(ErrorKind::kInterrupted, "interrupted; start again to resume");
    }
    if (monitor != nullptr) monitor->check();
  }
  /// Whether memory is short: scans let go of what they can and keep less in flight.
  bool under_pressure() const { return monitor != nullptr && monitor->under_pressure(); }
};

/// Tells the observer of a task for as long as it lives.
class TaskScope {
 public:
  TaskScope(Observer& observer, std::string_view name, std::int64_t total) : observer_(observer) {
    observer_.task_begin(name, total);
  }
  ~TaskScope() { observer_.task_end(); }
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

 private:
  Observer& observer_;
};

}  // namespace phase0::core
