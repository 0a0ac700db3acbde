// Preloaded (LD_PRELOAD) under the program: counts the calls of one family on files below a folder, and makes
// one of them fail.
//
//   PHASE0_IO_BELOW   the folder, absolute
//   PHASE0_IO_FAMILY  write, read, fsync, sync_range, fallocate, mmap, madvise, rename, open, create (open
//                     for a new file), close, truncate, unlink, mkdir; fork and _Fork, wherever
//   PHASE0_IO_FAULT   the name of an error number (EIO, ENOSPC, EINTR, ...); `short`: half the bytes;
//                     `cut`: the call succeeds, then PHASE0_IO_FILE is cut to nothing; `away`: the folder
//                     PHASE0_IO_FILE is renamed, then the call is made; `stop`: the process stops itself
//                     before the call
//   PHASE0_IO_AT      the number of the call, from 1
//   PHASE0_IO_ALWAYS  1: that call and all after it (EINTR: every other one, or nothing would ever get done)
//   PHASE0_IO_DISK    any value: a file system in memory says that it is on a disk (tmpfs is quick, but
//                     nothing is kept there)
//   PHASE0_IO_REPORT  a file that always holds two numbers: calls counted and faults made (binary, int64)

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace {

enum class Fault { kNone, kError, kShort };

struct Report {
  std::atomic<std::int64_t> counted{0};
  std::atomic<std::int64_t> faults{0};
};

std::string_view setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int error_number(std::string_view name) {
  constexpr std::pair<std::string_view, int> kNumbers[] = {
      {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},
      {"EAGAIN", EAGAIN}, {"ENOMEM", ENOMEM}, {"EDQUOT", EDQUOT},
      {"EACCES", EACCES}, {"EMFILE", EMFILE}, {"EOPNOTSUPP", EOPNOTSUPP},
      {"EROFS", EROFS}};
  for (const auto& [known, number] : kNumbers) {
    if (known == name) return number;
  }
  return 0;
}

struct Settings {
  std::string_view below = setting("PHASE0_IO_BELOW");
  std::string_view family = setting("PHASE0_IO_FAMILY");
  std::string_view fault = setting("PHASE0_IO_FAULT");
  std::string_view file = setting("PHASE0_IO_FILE");
  int error = error_number(fault);
  std::int64_t at = 0;
  bool always = !setting("PHASE0_IO_ALWAYS").empty();
  Report unshared;
  Report* report = &unshared;

  Settings() {
    if (const char* number = std::getenv("PHASE0_IO_AT")) at = std::atol(number);
    const char* path = std::getenv("PHASE0_IO_REPORT");
    if (path == nullptr) return;
    // Mapped, so that it holds whatever the process ends of; by system calls, which nobody counts.
    const int fd = static_cast<int>(::syscall(SYS_open, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0 || ::syscall(SYS_ftruncate, fd, sizeof(Report)) != 0) std::abort();
    const long address =
        ::syscall(SYS_mmap, nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == -1) std::abort();
    report = new (reinterpret_cast<void*>(address)) Report;
    ::syscall(SYS_close, fd);
  }
};

Settings& settings() {
  static Settings instance;
  return instance;
}

bool lies_below(std::string_view path) {
  const std::string_view below = settings().below;
  return !below.empty() && path.starts_with(below) &&
         (path.size() == below.size() || path[below.size()] == '/');
}

bool is_watched() {
  return true;
}

bool is_watched(int folder, const char* path) {
  if (path == nullptr) return false;
  if (path[0] == '/') return lies_below(path);
  char from[64];
  std::snprintf(from, sizeof from, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
  char base[PATH_MAX];
  const ssize_t size = ::readlink(from, base, sizeof base);
  return size > 0 && lies_below({base, static_cast<std::size_t>(size)});
}

bool is_watched(int fd) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  char path[PATH_MAX];
  const ssize_t size = ::readlink(link, path, sizeof path);
  return size > 0 && lies_below({path, static_cast<std::size_t>(size)});
}

void cut_file() {
  if (settings().fault == "cut") static_cast<void>(::truncate(settings().file.data(), 0));
}

void move_folder_away() {
  char to[PATH_MAX];
  std::snprintf(to, sizeof to, "%s.away", settings().file.data());
  ::syscall(SYS_rename, settings().file.data(), to);
}

/// Whether the call that was just counted is one to spoil.
bool is_its_turn(std::int64_t number) {
  const Settings& s = settings();
  if (s.at <= 0 || number < s.at) return false;
  if (!s.always) return number == s.at;
  return s.error != EINTR || (number - s.at) % 2 == 0;
}

/// Counts a call of `family`; what is to become of it. `family` is compared first: the watch costs a system
/// call.
template <typename... Place>
Fault count(std::string_view family, Place... place) {
  Settings& s = settings();
  if (s.family != family) return Fault::kNone;
  const int saved_errno = errno;
  const bool watched = is_watched(place...);
  errno = saved_errno;
  if (!watched || !is_its_turn(s.report->counted.fetch_add(1) + 1)) return Fault::kNone;
  s.report->faults.fetch_add(1);
  if (s.fault == "away") move_folder_away();
  if (s.fault == "stop") ::raise(SIGSTOP);
  if (s.fault == "short") return Fault::kShort;
  if (s.error == 0) return Fault::kNone;
  errno = s.error;
  return Fault::kError;
}

bool cuts(std::string_view family, std::int64_t faults_before) {
  const Settings& s = settings();
  return s.family == family && s.fault == "cut" && s.report->faults.load() != faults_before;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

std::size_t half(std::size_t bytes) {
  return bytes > 1 ? bytes / 2 : bytes;
}

bool creates(int flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

mode_t mode_of(int flags, std::va_list arguments) {
  return creates(flags) ? va_arg(arguments, mode_t) : 0;
}

bool open_fails(int folder, const char* path, int flags) {
  return count("open", folder, path) == Fault::kError ||
         (creates(flags) && count("create", folder, path) == Fault::kError);
}

}  // namespace

#define PHASE0_NEXT(name) static const auto real = next<decltype(&::name)>(#name)

// Found when the library is loaded: it is called where nothing may be looked up.
static const auto real_Fork = next<decltype(&::_Fork)>("_Fork");

extern "C" {

ssize_t write(int fd, const void* data, std::size_t bytes) {
  PHASE0_NEXT(write);
  const Fault fault = count("write", fd);
  return fault == Fault::kError ? -1 : real(fd, data, fault == Fault::kShort ? half(bytes) : bytes);
}

ssize_t pwrite(int fd, const void* data, std::size_t bytes, off_t offset) {
  PHASE0_NEXT(pwrite);
  const Fault fault = count("write", fd);
  return fault == Fault::kError ? -1 : real(fd, data, fault == Fault::kShort ? half(bytes) : bytes, offset);
}
ssize_t pwrite64(int fd, const void* data, std::size_t bytes, off_t offset) {
  return pwrite(fd, data, bytes, offset);
}

ssize_t writev(int fd, const iovec* parts, int n) {
  PHASE0_NEXT(writev);
  return count("write", fd) == Fault::kError ? -1 : real(fd, parts, n);
}

ssize_t read(int fd, void* out, std::size_t bytes) {
  PHASE0_NEXT(read);
  const Fault fault = count("read", fd);
  return fault == Fault::kError ? -1 : real(fd, out, fault == Fault::kShort ? half(bytes) : bytes);
}

ssize_t pread(int fd, void* out, std::size_t bytes, off_t offset) {
  PHASE0_NEXT(pread);
  const Fault fault = count("read", fd);
  return fault == Fault::kError ? -1 : real(fd, out, fault == Fault::kShort ? half(bytes) : bytes, offset);
}
ssize_t pread64(int fd, void* out, std::size_t bytes, off_t offset) {
  return pread(fd, out, bytes, offset);
}

int syncfs(int fd) {
  PHASE0_NEXT(syncfs);
  return count("fsync", fd) == Fault::kError ? -1 : real(fd);
}

int fsync(int fd) {
  PHASE0_NEXT(fsync);
  return count("fsync", fd) == Fault::kError ? -1 : real(fd);
}

int fdatasync(int fd) {
  PHASE0_NEXT(fdatasync);
  return count("fsync", fd) == Fault::kError ? -1 : real(fd);
}

int sync_file_range(int fd, off_t offset, off_t bytes, unsigned flags) {
  PHASE0_NEXT(sync_file_range);
  return count("sync_range", fd) == Fault::kError ? -1 : real(fd, offset, bytes, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  PHASE0_NEXT(fallocate);
  return count("fallocate", fd) == Fault::kError ? -1 : real(fd, mode, offset, bytes);
}
int fallocate64(int fd, int mode, off_t offset, off_t bytes) {
  return fallocate(fd, mode, offset, bytes);
}

int posix_fallocate(int fd, off_t offset, off_t bytes) {
  PHASE0_NEXT(posix_fallocate);
  return count("fallocate", fd) == Fault::kError ? settings().error : real(fd, offset, bytes);
}

void* mmap(void* address, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  PHASE0_NEXT(mmap);
  if (fd < 0) return real(address, bytes, protection, flags, fd, offset);
  const std::int64_t faults = settings().report->faults.load();
  if (count("mmap", fd) == Fault::kError) return MAP_FAILED;
  void* result = real(address, bytes, protection, flags, fd, offset);
  if (cuts("mmap", faults)) cut_file();
  return result;
}
void* mmap64(void* address, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
  return mmap(address, bytes, protection, flags, fd, offset);
}

/// A hint that may not fail: only counted (in all files), to cut at.
int madvise(void* address, std::size_t bytes, int advice) {
  PHASE0_NEXT(madvise);
  const std::int64_t faults = settings().report->faults.load();
  count("madvise", AT_FDCWD, settings().below.data());
  const int result = real(address, bytes, advice);
  if (cuts("madvise", faults)) cut_file();
  return result;
}

int rename(const char* from, const char* to) {
  PHASE0_NEXT(rename);
  return count("rename", AT_FDCWD, to) == Fault::kError ? -1 : real(from, to);
}

int open(const char* path, int flags, ...) {
  PHASE0_NEXT(open);
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_fails(AT_FDCWD, path, flags) ? -1 : real(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  PHASE0_NEXT(openat);
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_fails(folder, path, flags) ? -1 : real(folder, path, flags, mode);
}

int creat(const char* path, mode_t mode) {
  return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

std::FILE* fopen(const char* path, const char* how) {
  PHASE0_NEXT(fopen);
  return count("open", AT_FDCWD, path) == Fault::kError ? nullptr : real(path, how);
}
std::FILE* fopen64(const char* path, const char* how) {
  return fopen(path, how);
}

/// The descriptor is closed all the same, as Linux does it.
int close(int fd) {
  PHASE0_NEXT(close);
  const Fault fault = count("close", fd);
  const int error = errno;
  const int result = real(fd);
  if (fault != Fault::kError) return result;
  errno = error;
  return -1;
}

int ftruncate(int fd, off_t bytes) {
  PHASE0_NEXT(ftruncate);
  return count("truncate", fd) == Fault::kError ? -1 : real(fd, bytes);
}
int ftruncate64(int fd, off_t bytes) {
  return ftruncate(fd, bytes);
}

int unlink(const char* path) {
  PHASE0_NEXT(unlink);
  return count("unlink", AT_FDCWD, path) == Fault::kError ? -1 : real(path);
}

int unlinkat(int folder, const char* path, int flags) {
  PHASE0_NEXT(unlinkat);
  return count("unlink", folder, path) == Fault::kError ? -1 : real(folder, path, flags);
}

int remove(const char* path) {
  PHASE0_NEXT(remove);
  return count("unlink", AT_FDCWD, path) == Fault::kError ? -1 : real(path);
}

int mkdir(const char* path, mode_t mode) {
  PHASE0_NEXT(mkdir);
  return count("mkdir", AT_FDCWD, path) == Fault::kError ? -1 : real(path, mode);
}

pid_t fork() {
  PHASE0_NEXT(fork);
  return count("fork") == Fault::kError ? -1 : real();
}
pid_t _Fork() {
  return count("_Fork") == Fault::kError ? -1 : real_Fork();
}

int statfs(const char* path, struct statfs* status) {
  PHASE0_NEXT(statfs);
  const int result = real(path, status);
  if (result == 0 && std::getenv("PHASE0_IO_DISK") != nullptr) status->f_type = EXT4_SUPER_MAGIC;
  return result;
}

}  // extern "C"
