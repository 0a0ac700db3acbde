#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "store/posix_file.h"

namespace phase0::store {

/// Reads ranges of a file into memory ahead of those who want them, on two threads of its own and past the
/// page cache (O_DIRECT): for files that the page cache cannot hold. There, every page that is read drives
/// out another before it is used again, and the kernel's work for that costs as much as reading; this costs
/// next to nothing. Does nothing where the file system refuses direct reads. Thread-safe.
class ReadAhead {
 public:
  ReadAhead() = default;
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// A hint: starts reading bytes [offset, offset + size) of `file`, always the same file, unless more than
  /// `limit_bytes` would then be held in memory. Never fails.
  void fetch(const FileDescriptor& file, std::int64_t offset, std::int64_t size,
             std::int64_t limit_bytes) noexcept;
  /// A range as it was given to fetch(), into `out`, once it is there; its memory is then free again. False
  /// when it was not fetched, or its reading failed: whoever reads it the plain way then learns why.
  bool take(std::int64_t offset, std::int64_t size, void* out);
  /// Forgets what was fetched and not taken.
  void drop();

  /// One request is under way while the other's data arrive.
  static constexpr int kThreads = 2;
  /// Smaller ranges are not worth a read of their own, and are not fetched.
  static constexpr std::int64_t kLeastBytes = std::int64_t{128} << 10;
  /// Memory that ranges of `bytes` in all take, widened to whole pages.
  static std::int64_t held_bytes(std::int64_t bytes) { return bytes + bytes / 8 + kPage; }

 private:
  static constexpr std::int64_t kPage = 4096;
  enum class State { kWaiting, kReading, kDone, kFailed };
  struct Range {
    std::int64_t offset = 0, size = 0;
    std::int64_t first = 0;                ///< of the whole pages around it
    core::AlignedBuffer<std::byte> pages;  ///< and one more, to align them
    State state = State::kWaiting;
    std::byte* aligned();
  };

  bool start(const FileDescriptor& file);
  void loop();
  State read(Range& range) const;

  std::mutex mutex_;  ///< of all that follows
  std::condition_variable work_, done_;
  FileDescriptor direct_;
  bool refused_ = false;
  bool closing_ = false;
  std::map<std::int64_t, std::shared_ptr<Range>> ranges_;  ///< by offset
  std::deque<std::shared_ptr<Range>> waiting_;
  std::int64_t held_bytes_ = 0;
  int n_failed_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace phase0::store
