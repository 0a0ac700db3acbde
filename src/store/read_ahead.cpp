#include "store/read_ahead.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "core/checked.h"

namespace phase0::store {
namespace {

constexpr int kMostFailures = 4;  ///< then the file system refuses more than it said

}  // namespace

std::byte* ReadAhead::Range::aligned() {
  const auto address = reinterpret_cast<std::uintptr_t>(pages.data());
  return pages.data() +
         (core::round_up(static_cast<std::int64_t>(address), kPage) - static_cast<std::int64_t>(address));
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  for (auto& thread : threads_) thread.join();
}

/// With the mutex held; false where direct reads are not to be had.
bool ReadAhead::start(const FileDescriptor& file) {
  if (refused_ || !threads_.empty()) return !refused_;
  refused_ = true;  // unless all goes well: what fails once is not tried again
  // The same file, also when it no longer has a name.
  direct_ = FileDescriptor(
      ::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!direct_) return false;
  threads_.reserve(kThreads);
  try {
    while (std::ssize(threads_) < kThreads) threads_.emplace_back([this] { loop(); });
  } catch (...) {  // one thread is enough
  }
  refused_ = threads_.empty();
  return !refused_;
}

void ReadAhead::fetch(const FileDescriptor& file, std::int64_t offset, std::int64_t size,
                      std::int64_t limit_bytes) noexcept try {
  if (size < kLeastBytes) return;
  auto range = std::make_shared<Range>();
  range->offset = offset;
  range->size = size;
  range->first = offset / kPage * kPage;
  const std::int64_t bytes = core::round_up(offset + size, kPage) - range->first + kPage;
  const std::lock_guard lock(mutex_);
  if (held_bytes_ + bytes > limit_bytes || ranges_.contains(offset) || !start(file)) return;
  range->pages.resize(bytes);
  const auto added = ranges_.emplace(offset, range).first;
  try {
    waiting_.push_back(std::move(range));
  } catch (...) {
    ranges_.erase(added);
    throw;
  }
  held_bytes_ += bytes;
  work_.notify_one();
} catch (...) {  // out of memory: it is only a hint
}

bool ReadAhead::take(std::int64_t offset, std::int64_t size, void* out) {
  std::shared_ptr<Range> range;
  {
    std::unique_lock lock(mutex_);
    const auto found = ranges_.find(offset);
    if (found == ranges_.end() || found->second->size != size) return false;
    range = found->second;
    ranges_.erase(found);
    done_.wait(lock, [&] { return range->state == State::kDone || range->state == State::kFailed; });
  }
  const bool read = range->state == State::kDone;
  if (read) std::memcpy(out, range->aligned() + (offset - range->first), static_cast<std::size_t>(size));
  const std::int64_t bytes = range->pages.size();
  range.reset();
  const std::lock_guard lock(mutex_);
  held_bytes_ -= bytes;
  return read;
}

void ReadAhead::drop() {
  std::unique_lock lock(mutex_);
  for (const auto& range : waiting_) range->state = State::kFailed;
  waiting_.clear();
  done_.notify_all();
  while (!ranges_.empty()) {
    const std::shared_ptr<Range> range = std::move(ranges_.begin()->second);
    ranges_.erase(ranges_.begin());
    done_.wait(lock, [&] { return range->state != State::kReading; });
    held_bytes_ -= range->pages.size();
  }
}

void ReadAhead::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    std::shared_ptr<Range> range = std::move(waiting_.front());
    waiting_.pop_front();
    range->state = State::kReading;
    lock.unlock();
    const State state = read(*range);
    lock.lock();
    range->state = state;
    if (state == State::kFailed && ++n_failed_ == kMostFailures) refused_ = true;
    range.reset();  // whoever takes it frees its memory
    done_.notify_all();
  }
}

ReadAhead::State ReadAhead::read(Range& range) const {
  const std::int64_t wanted = range.offset + range.size - range.first;
  const std::int64_t bytes = range.pages.size() - kPage;
  for (std::int64_t done = 0; done < wanted;) {
    const ssize_t n = ::pread(direct_.get(), range.aligned() + done, static_cast<std::size_t>(bytes - done),
                              range.first + done);
    if (n < 0 && errno == EINTR) continue;
    // At the end of the file, or in the middle of a page of it: nothing more can be read directly.
    if (n <= 0 || (n % kPage != 0 && done + n < wanted)) return State::kFailed;
    done += n;
  }
  return State::kDone;
}

}  // namespace phase0::store
