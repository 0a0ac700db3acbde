#include "core/zeroed_buffer.h"

#include <sys/mman.h>

#include <new>

namespace phase0::core {
namespace {

constexpr std::int64_t kLargeBytes = std::int64_t{1} << 20;
constexpr std::uintptr_t kPageBytes = 4096;

}  // namespace

void* zeroed_memory(std::int64_t bytes) {
  void* memory = std::calloc(static_cast<std::size_t>(bytes), 1);
  if (memory == nullptr) throw std::bad_alloc();
  if (bytes < kLargeBytes) return memory;
  const auto first = (reinterpret_cast<std::uintptr_t>(memory) + kPageBytes - 1) / kPageBytes * kPageBytes;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + static_cast<std::uintptr_t>(bytes)) /
                   kPageBytes * kPageBytes;
  // Hints: without them the pages come one by one as they are touched. Writing brings them in at once; a sum
  // that is read first would get the shared page of zeros and fault again.
  static_cast<void>(::madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE));
  static_cast<void>(::madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_WRITE));
  return memory;
}

}  // namespace phase0::core
