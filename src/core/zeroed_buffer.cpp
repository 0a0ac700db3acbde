#include "core/zeroed_buffer.h"

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>

namespace phase0::core {
namespace {

constexpr std::int64_t kLargeBytes = std::int64_t{1} << 20;
constexpr std::uintptr_t kPageBytes = 4096;

/// The whole pages of a large piece of memory; none of a small one.
std::span<std::byte> whole_pages(void* memory, std::int64_t bytes) {
  if (bytes < kLargeBytes) return {};
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (at + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::uintptr_t end = (at + static_cast<std::uintptr_t>(bytes)) / kPageBytes * kPageBytes;
  return {reinterpret_cast<std::byte*>(first), end - first};
}

}  // namespace

void prefer_huge_pages(void* memory, std::int64_t bytes) {
  const auto pages = whole_pages(memory, bytes);
  if (!pages.empty()) static_cast<void>(::madvise(pages.data(), pages.size(), MADV_HUGEPAGE));
}

void bring_in_pages(void* memory, std::int64_t bytes) {
  // Without it they come one by one as they are touched. Writing brings them in at once; a sum that is read
  // first would get the shared page of zeros and fault again.
  const auto pages = whole_pages(memory, bytes);
  if (!pages.empty()) static_cast<void>(::madvise(pages.data(), pages.size(), MADV_POPULATE_WRITE));
}

void* zeroed_memory(std::int64_t bytes, Pages pages) {
  void* memory = std::calloc(static_cast<std::size_t>(bytes), 1);
  if (memory == nullptr) throw std::bad_alloc();
  prefer_huge_pages(memory, bytes);
  if (pages == Pages::kAtOnce) bring_in_pages(memory, bytes);
  return memory;
}

}  // namespace phase0::core
