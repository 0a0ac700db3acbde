#include "encoders/encode_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>

#include "core/memory.h"
#include "core/threads.h"
#include "encoders/encoder_error.h"

namespace phase0::encoders {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{20};

/// Looks at the memory of this process and all encoders in a thread of its own.
class MemoryWatch {
 public:
  MemoryWatch(ProcessKeeper& keeper, std::int64_t limit_bytes, const std::function<void(std::int64_t)>& over)
      : keeper_(keeper), limit_(limit_bytes), over_(over) {
    if (limit_ <= 0) return;
    try_to_look();  // what is soon over is never seen by the thread
    thread_ = core::start_thread([this] { watch(); });
  }
  ~MemoryWatch() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  std::int64_t peak_bytes() const { return peak_; }
  std::int64_t encoders_peak_bytes() const { return encoders_peak_; }
  std::int64_t n_ended() const { return n_ended_; }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kWatchInterval, [this] { return stop_; })) try_to_look();
  }
  void try_to_look() {
    try {
      look();
    } catch (const Error&) {           // /proc cannot be read just now
    } catch (const std::bad_alloc&) {  // the next look may have room
    }
  }

  /// Resident sets count what encoders share once for each; only over the limit are the proportional shares
  /// taken, which cost more and decide.
  void look() {
    const std::vector<core::Process> processes = keeper_.all();
    const std::int64_t own = core::current_rss_bytes();
    std::int64_t bytes = 0;
    for (const core::Process& process : processes) bytes += process.rss_bytes;
    if (own + bytes <= limit_) return keep_peak(own, bytes);
    bytes = 0;
    const core::Process* largest = nullptr;
    std::int64_t most = -1;
    for (const core::Process& process : processes) {
      const std::int64_t share = core::pss_bytes(process.id.pid).value_or(process.rss_bytes);
      bytes += share;
      if (share > most) {
        most = share;
        largest = &process;
      }
    }
    keep_peak(own, bytes);
    if (own + bytes <= limit_ || largest == nullptr) return;
    over_(own + bytes);
    core::send_signal(largest->id, SIGKILL);
    ++n_ended_;
  }

  void keep_peak(std::int64_t own, std::int64_t encoders) {
    peak_ = std::max(peak_.load(), own + encoders);
    encoders_peak_ = std::max(encoders_peak_.load(), encoders);
  }

  ProcessKeeper& keeper_;
  std::int64_t limit_;
  const std::function<void(std::int64_t)>& over_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::atomic<std::int64_t> peak_{0}, encoders_peak_{0}, n_ended_{0};
  std::thread thread_;
};

/// Waits for them when it goes.
struct Threads {
  std::vector<std::thread> all;
  ~Threads() {
    for (std::thread& thread : all) thread.join();
  }
};

class Pool {
 public:
  Pool(ProcessKeeper& keeper, const PoolWork& work) : keeper_(keeper), work_(work) {}

  /// Takes sequences until there are no more, or one of the workers has thrown.
  void work_with(SequenceEncoder& encoder) {
    keeping_failure([&] {
      while (const auto sequence = next()) encode(encoder, *sequence);
    });
    const std::lock_guard lock(mutex_);
    times_.add(encoder.times());
  }
  /// The same with an encoder of its own that the others can do without.
  void help(const EncoderSettings& settings, BatchSizes& batches) {
    keeping_failure([&] {
      SequenceEncoder encoder(keeper_, settings, batches);
      try {
        encoder.start();
      } catch (const EncoderError&) {
        const std::lock_guard lock(mutex_);
        ++n_not_started_;
        return;
      }
      work_with(encoder);
      encoder.finish();
    });
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  const EncoderTimes& times() const { return times_; }
  std::int64_t n_not_started() const { return n_not_started_; }

 private:
  template <typename Work>
  void keeping_failure(const Work& work) {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  std::optional<std::size_t> next() {
    keeper_.check_stop();
    const std::lock_guard lock(mutex_);
    if (failure_ || next_ == work_.sequences.size()) return std::nullopt;
    return work_.sequences[next_++];
  }

  void encode(SequenceEncoder& encoder, std::size_t sequence) {
    try {
      const SequenceRows rows = encoder.encode(work_.items(sequence));
      const std::lock_guard lock(mutex_);
      work_.done(sequence, rows);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      const std::lock_guard lock(mutex_);
      work_.failed(sequence, error);
    }
  }

  ProcessKeeper& keeper_;
  const PoolWork& work_;
  std::mutex mutex_;
  std::size_t next_ = 0;
  std::exception_ptr failure_;
  EncoderTimes times_;
  std::int64_t n_not_started_ = 0;
};

}  // namespace

PoolFigures run_pool(ProcessKeeper& keeper, const EncoderSettings& settings, BatchSizes& batches,
                     SequenceEncoder& first, const PoolLimits& limits, const PoolWork& work) {
  Pool pool(keeper, work);
  MemoryWatch watch(keeper, limits.memory_bytes, work.over_memory);
  {
    Threads others;
    others.all.reserve(static_cast<std::size_t>(limits.n_workers));  // no room shows before a thread runs
    for (std::int64_t i = 1; i < limits.n_workers; ++i)
      others.all.push_back(core::start_thread([&] { pool.help(settings, batches); }));
    pool.work_with(first);
  }
  pool.rethrow();
  return {pool.times(), watch.peak_bytes(), watch.encoders_peak_bytes(), watch.n_ended(),
          pool.n_not_started()};
}

}  // namespace phase0::encoders
