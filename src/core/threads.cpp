#include "core/threads.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/check.h"

namespace phase0::core {
namespace {

/// CPUs of a cgroup quota, or 0 when there is none.
double cgroup_cpus() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period && quota != "max" && period > 0) {
    return std::stod(quota) / period;
  }
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double microseconds = 0;
  if (v1_quota >> microseconds && v1_period >> period && microseconds > 0 && period > 0) {
    return microseconds / period;
  }
  return 0;
}

}  // namespace

int available_threads() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) threads = CPU_COUNT(&mask);
  if (const double quota = cgroup_cpus(); quota > 0)
    threads = std::min(threads, static_cast<int>(std::lround(quota)));
  return std::max(threads, 1);
}

struct ThreadPool::Impl {
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  std::uint64_t generation = 0;
  bool closing = false;
  int busy = 0;

  const std::function<void(std::int64_t, int)>* task = nullptr;
  std::int64_t n = 0;
  int n_workers = 1;
  std::atomic<std::int64_t> next{0};
  std::exception_ptr error;

  void work(int worker) {
    try {
      for (std::int64_t item = next.fetch_add(1); item < n; item = next.fetch_add(1)) (*task)(item, worker);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next.store(n);
    }
  }

  void loop(int worker) {
    std::uint64_t seen = 0;
    while (true) {
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return closing || generation != seen; });
        if (closing) return;
        seen = generation;
      }
      if (worker < n_workers) work(worker);
      const std::lock_guard lock(mutex);
      if (--busy == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>()), size_(threads) {
  PHASE0_CHECK(threads >= 1);
  for (int worker = 1; worker < threads; ++worker) {
    impl_->workers.emplace_back([impl = impl_.get(), worker] { impl->loop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->wake.notify_all();
  for (auto& worker : impl_->workers) worker.join();
}

void ThreadPool::run(std::int64_t n, const std::function<void(std::int64_t, int)>& task) {
  Impl& impl = *impl_;
  {
    const std::lock_guard lock(impl.mutex);
    impl.task = &task;
    impl.n = n;
    impl.n_workers = static_cast<int>(std::min<std::int64_t>(n, size_));
    impl.next.store(0);
    impl.error = nullptr;
    impl.busy = static_cast<int>(impl.workers.size());
    ++impl.generation;
  }
  impl.wake.notify_all();
  impl.work(0);
  std::unique_lock lock(impl.mutex);
  impl.done.wait(lock, [&] { return impl.busy == 0; });
  if (impl.error) std::rethrow_exception(std::exchange(impl.error, nullptr));
}

WorkerLimit::WorkerLimit(ThreadPool& pool, int workers) : pool_(pool), before_(pool.size_) {
  PHASE0_CHECK(workers >= 1 && workers <= pool.size_);
  pool_.size_ = workers;
}

}  // namespace phase0::core
