#include "core/threads.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/cgroup.h"
#include "core/check.h"
#include "phase0/error.h"

namespace phase0::core {
namespace {

/// CPUs of a group's quota: v2 writes `quota period` or `max period`, v1 two files with -1 for no quota.
std::optional<double> quota_cpus(std::istream&& quota_file, std::istream&& period_file) {
  std::int64_t quota = 0;
  std::int64_t period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<double>(quota) / static_cast<double>(period);
}

std::optional<double> quota_v2(const CgroupFolder& group) {
  std::ifstream file(group.path + "/cpu.max");
  std::string quota;
  std::string period;
  file >> quota >> period;
  return quota_cpus(std::istringstream(quota), std::istringstream(period));
}

std::optional<double> quota_v1(const CgroupFolder& group) {
  return quota_cpus(std::ifstream(group.path + "/cpu.cfs_quota_us"),
                    std::ifstream(group.path + "/cpu.cfs_period_us"));
}

}  // namespace

AvailableThreads available_threads(const SystemFiles& files) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  AvailableThreads least{static_cast<int>(std::thread::hardware_concurrency()), "CPUs"};
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) least = {CPU_COUNT(&mask), "CPU affinity"};
  least.count = std::max(least.count, 1);
  const auto consider = [&least](std::optional<double> cpus, const std::string& source) {
    if (!cpus || *cpus >= static_cast<double>(least.count)) return;
    const int count = std::max(static_cast<int>(std::lround(*cpus)), 1);
    if (count < least.count) least = {count, source};
  };
  for (const CgroupFolder& group : cgroup_folders(files, ""))
    consider(quota_v2(group), "cgroup v2 cpu.max of " + group.name);
  for (const CgroupFolder& group : cgroup_folders(files, "cpu"))
    consider(quota_v1(group), "cgroup v1 cpu.cfs_quota_us of " + group.name);
  return least;
}

std::thread start_thread(std::function<void()> body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& error) {
    throw Error(ErrorKind::kMemory, fmt::format("cannot start a thread: {}; the process may have too little "
                                                "address space (ulimit -v, -d) or too few threads "
                                                "(ulimit -u), try fewer --threads",
                                                error.code().message()));
  }
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

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      closing = true;
    }
    wake.notify_all();
    for (std::thread& thread : workers) thread.join();
  }

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
    impl_->workers.push_back(start_thread([impl = impl_.get(), worker] { impl->loop(worker); }));
  }
}

ThreadPool::~ThreadPool() = default;

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
