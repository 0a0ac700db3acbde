#include "linalg/blas_buffers.h"

#include <sys/mman.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "core/check.h"
#include "phase0/error.h"

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the linker's names for --wrap.
extern "C" {
void* __real_blas_memory_alloc(int purpose);
void __real_blas_memory_free(void* buffer);
void* __wrap_blas_memory_alloc(int purpose);
void __wrap_blas_memory_free(void* buffer);
}

namespace phase0::linalg {
namespace {

/// What OpenBLAS maps for a buffer (BUFFER_SIZE in its common_x86_64.h).
constexpr std::size_t kBlasBufferBytes = std::size_t{128} << 20;
constexpr int kMostBuffers = 1024;

/// The buffers of the process; thread-safe.
class Buffers {
 public:
  void* take() {
    std::unique_lock lock(mutex_);
    while (free_.empty() && !make()) {
      if (made_ == 0) {
        throw Error(ErrorKind::kMemory,
                    "the kernel refuses the 128 MiB of address space that a matrix product "
                    "needs; raise the limit of the process (ulimit -v, ulimit -d)");
      }
      returned_.wait(lock);
    }
    void* buffer = free_.back();
    free_.pop_back();
    return buffer;
  }

  void give_back(void* buffer) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(buffer);  // within the capacity
    }
    returned_.notify_one();
  }

 private:
  bool make() {
    if (made_ == kMostBuffers) return false;
    free_.reserve(kMostBuffers);
    // As OpenBLAS maps them; but it asks for ever when it is refused.
    void* buffer =
        ::mmap(nullptr, kBlasBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED) return false;
    free_.push_back(buffer);
    ++made_;
    return true;
  }

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<void*> free_;
  int made_ = 0;
};

Buffers& buffers() {
  static Buffers all;  // like the library's own, of the process
  return all;
}

// The library asks for its buffer without an argument of ours.
thread_local void* held = nullptr;

}  // namespace

BlasBuffer::BlasBuffer() {
  PHASE0_CHECK(held == nullptr);
  held = buffers().take();
}

BlasBuffer::~BlasBuffer() {
  buffers().give_back(held);
  held = nullptr;
}

}  // namespace phase0::linalg

// A thread that holds none calls the library by itself, as other parts of a program may.
void* __wrap_blas_memory_alloc(int purpose) {
  return phase0::linalg::held != nullptr ? phase0::linalg::held : __real_blas_memory_alloc(purpose);
}

void __wrap_blas_memory_free(void* buffer) {
  if (buffer != phase0::linalg::held) __real_blas_memory_free(buffer);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
