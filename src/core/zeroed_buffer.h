#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <type_traits>

namespace phase0::core {

/// When a large buffer's pages come into memory: with it, or where `bring_in` asks for them or they are
/// touched.
enum class Pages : std::uint8_t { kAtOnce, kOnRequest };

/// Asks for huge pages behind a large piece of memory; nothing where there are none. A hint.
void prefer_huge_pages(void* memory, std::int64_t bytes);
/// Brings the pages of a large piece of memory in, for writing. A hint.
void bring_in_pages(void* memory, std::int64_t bytes);

/// A fixed array of numbers that start as zero, at 64-byte alignment, for sums that are added to at random
/// places: a large one has its pages before they are used, huge ones where the system gives them on request,
/// so that an addition rarely misses the TLB and never faults. Move-only; a moved-from buffer is only to be
/// destroyed or assigned to.
template <typename T>
class ZeroedBuffer {
  static_assert(std::is_arithmetic_v<T>);

 public:
  ZeroedBuffer() = default;
  /// Throws std::bad_alloc.
  explicit ZeroedBuffer(std::int64_t n, Pages pages = Pages::kAtOnce);
  /// Brings in the pages of n elements from `first` on. Threads may do so for different ones at the same
  /// time.
  void bring_in(std::int64_t first, std::int64_t n) const {
    bring_in_pages(data_ + first, n * static_cast<std::int64_t>(sizeof(T)));
  }

  bool empty() const { return size_ == 0; }
  std::int64_t size() const { return size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }
  const T& operator[](std::int64_t i) const { return data_[i]; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// The memory behind it: `bytes` zero bytes from std::calloc. Throws std::bad_alloc.
void* zeroed_memory(std::int64_t bytes, Pages pages);

template <typename T>
ZeroedBuffer<T>::ZeroedBuffer(std::int64_t n, Pages pages) : size_(n) {
  constexpr std::int64_t kAlignment = 64;
  const std::int64_t bytes = n * static_cast<std::int64_t>(sizeof(T));
  std::size_t room = static_cast<std::size_t>(bytes + kAlignment);
  memory_.reset(zeroed_memory(bytes + kAlignment, pages));
  void* start = memory_.get();
  data_ = static_cast<T*>(std::align(kAlignment, static_cast<std::size_t>(bytes), start, room));
}

}  // namespace phase0::core
