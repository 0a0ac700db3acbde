#include "failing_new.h"

#include <cstdlib>
#include <new>

namespace {

thread_local int countdown = 0;

}  // namespace

namespace phase0::store::testing {

void fail_allocation(int n) {
  countdown = n;
}

}  // namespace phase0::store::testing

#ifndef __SANITIZE_THREAD__
void* operator new(std::size_t size) {
  if (countdown > 0 && --countdown == 0) throw std::bad_alloc();
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
#endif
