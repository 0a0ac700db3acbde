// Preloaded (LD_PRELOAD) under the program: at the PHASE0_HOG_AT-th read (pread) of at least 64 KiB, from 1,
// it takes PHASE0_HOG_BYTES of memory, touches every page and keeps them: memory that nobody planned. Such
// reads take PHASE0_HOG_DELAY_MS longer from there on, so that a fast machine is not done before anybody
// looks.

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

constexpr std::size_t kLarge = std::size_t{64} << 10;

long setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::atol(value);
}

void count_read(std::size_t bytes) {
  static std::atomic<long> count{0};
  static const long hog_at = setting("PHASE0_HOG_AT");
  static const std::chrono::milliseconds delay{setting("PHASE0_HOG_DELAY_MS")};
  if (bytes < kLarge || hog_at == 0) return;
  const long n = count.fetch_add(1) + 1;
  if (n > hog_at) std::this_thread::sleep_for(delay);
  if (n != hog_at) return;
  const auto size = static_cast<std::size_t>(setting("PHASE0_HOG_BYTES"));
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) std::memset(memory, 1, size);
}

using Pread = ssize_t (*)(int, void*, std::size_t, off_t);

}  // namespace

extern "C" {

ssize_t pread(int fd, void* out, std::size_t bytes, off_t offset) {
  static const auto real = reinterpret_cast<Pread>(dlsym(RTLD_NEXT, "pread"));
  count_read(bytes);
  return real(fd, out, bytes, offset);
}

ssize_t pread64(int fd, void* out, std::size_t bytes, off_t offset) {
  return pread(fd, out, bytes, offset);
}

}  // extern "C"
