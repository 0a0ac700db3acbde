// Preloaded (LD_PRELOAD) under the program: counts requests for at least 1 MiB, and refuses the one that
// PHASE0_FAIL_AT numbers (from 1), with PHASE0_FAIL_ALWAYS=1 that one and all after it. The count goes to the
// file PHASE0_FAIL_COUNT at exit. Anonymous maps are left alone: thread stacks and the buffers of the BLAS
// are mapped so.

#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr std::size_t kLarge = std::size_t{1} << 20;

struct Settings {
  long fail_at = 0;
  bool always = false;
  std::atomic<long> count{0};
  Settings() {
    if (const char* at = std::getenv("PHASE0_FAIL_AT")) fail_at = std::atol(at);
    always = std::getenv("PHASE0_FAIL_ALWAYS") != nullptr;
  }
  ~Settings() {
    const char* path = std::getenv("PHASE0_FAIL_COUNT");
    std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "w");
    if (file == nullptr) return;
    std::fprintf(file, "%ld\n", count.load());
    std::fclose(file);
  }
};

Settings& settings() {
  static Settings instance;
  return instance;
}

bool refuses(std::size_t bytes) {
  if (bytes < kLarge) return false;
  Settings& s = settings();
  const long number = s.count.fetch_add(1) + 1;
  return s.fail_at > 0 && (s.always ? number >= s.fail_at : number == s.fail_at);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* old, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) {
  if (!refuses(bytes)) return __libc_malloc(bytes);
  errno = ENOMEM;
  return nullptr;
}

void* calloc(std::size_t n, std::size_t size) {
  if (!refuses(n * size)) return __libc_calloc(n, size);
  errno = ENOMEM;
  return nullptr;
}

void* realloc(void* old, std::size_t bytes) {
  if (!refuses(bytes)) return __libc_realloc(old, bytes);
  errno = ENOMEM;
  return nullptr;
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  if (!refuses(bytes)) return __libc_memalign(alignment, bytes);
  errno = ENOMEM;
  return nullptr;
}

int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  if (refuses(bytes)) return ENOMEM;
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}

void* mmap(void* address, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  static const auto real = next<void* (*)(void*, std::size_t, int, int, int, off_t)>("mmap");
  if (fd < 0 || (protection & PROT_EXEC) != 0 || !refuses(bytes)) {
    return real(address, bytes, protection, flags, fd, offset);
  }
  errno = ENOMEM;
  return MAP_FAILED;
}

void* mmap64(void* address, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  return mmap(address, bytes, protection, flags, fd, offset);
}

}  // extern "C"
