#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "core/system_files.h"

namespace phase0::core {

/// Threads the process may use, and what said so.
struct AvailableThreads {
  int count = 1;
  std::string source;  ///< `CPU affinity`, `cgroup v2 cpu.max of /user.slice`, ...
};
/// The affinity mask, cut by the CPU quotas (rounded to whole CPUs) of the process's cgroup and every
/// ancestor, v1 and v2. At least 1.
AvailableThreads available_threads(const SystemFiles& files = {});

/// Throws Error (kMemory) where the system has no thread to give.
std::thread start_thread(std::function<void()> body);

/// A fixed set of workers. `run` is a parallel for; the caller works too, as worker 0.
class ThreadPool {
 public:
  /// `threads` >= 1. Throws Error (kMemory) where the system does not give as many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Workers in use: all, or fewer under a WorkerLimit.
  int size() const { return size_; }
  /// Calls `task(item, worker)` once for every item in [0, n), in any order, on workers [0, min(n, size())).
  /// The first exception stops the handing out of further items and is rethrown here. Must not be called from
  /// inside a task.
  void run(std::int64_t n, const std::function<void(std::int64_t item, int worker)>& task);

 private:
  friend class WorkerLimit;
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int size_;
};

/// Lets a pool use only its first workers for as long as it lives: where memory does not allow every thread
/// its working copies. The pool must not be running.
class WorkerLimit {
 public:
  /// 1 <= workers <= pool.size().
  WorkerLimit(ThreadPool& pool, int workers);
  ~WorkerLimit() { pool_.size_ = before_; }
  WorkerLimit(const WorkerLimit&) = delete;
  WorkerLimit& operator=(const WorkerLimit&) = delete;

 private:
  ThreadPool& pool_;
  int before_;
};

}  // namespace phase0::core
