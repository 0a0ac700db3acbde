#include "core/zeroed_buffer.h"

#include <sys/mman.h>

#include <new>

namespace phase0::core {
namespace {

constexpr std::int64_t kHugeBytes = std::int64_t{2} << 20;
constexpr std::uintptr_t kPageBytes = 4096;

}  // namespace

void* zeroed_memory(std::int64_t bytes) {
  void* memory = std::calloc(static_cast<std::size_t>(bytes), 1);
  if (memory == nullptr) throw std::bad_alloc();
  if (bytes < 2 * kHugeBytes) return memory;
  const auto first = (reinterpret_cast<std::uintptr_t>(memory) + kPageBytes - 1) / kPageBytes * kPageBytes;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + static_cast<std::uintptr_t>(bytes)) /
                   kPageBytes * kPageBytes;
  // Only a hint: what it returns makes no difference.
  static_cast<void>(::madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE));
  return memory;
}

}  // namespace phase0::core
