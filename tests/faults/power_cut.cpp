// Preloaded (LD_PRELOAD) under the program: keeps what a power cut would leave of the files below a folder.
//
//   PHASE0_CUT_BELOW    the folder, absolute
//   PHASE0_CUT_DURABLE  a folder that gets a copy of every file and the list of every folder below it at the
//                       moment of its last fsync, by inode: file-INODE, folder-INODE (a line "INODE NAME" for
//                       each entry)
//   PHASE0_CUT_AT       the number of the step, from 1, before which the process kills itself: a step is an
//                       fsync, a rename or an unlink below the folder
//   PHASE0_CUT_STEPS    a file that gets a line for every step
//
// What was written, by calls or through maps, and not fsynced since differs from its copy: a power cut may
// keep or drop every page of it, and every entry of a folder.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Settings {
  std::string below = setting("PHASE0_CUT_BELOW");
  std::string durable = setting("PHASE0_CUT_DURABLE");
  long at = std::atol(setting("PHASE0_CUT_AT").c_str());
  std::string steps = setting("PHASE0_CUT_STEPS");
  std::atomic<long> n_steps{0};
  std::mutex mutex;
};

Settings& settings() {
  static Settings instance;
  return instance;
}

std::string path_of(int fd) {
  char path[PATH_MAX];
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "";
}

bool is_watched(const std::string& path) {
  const std::string& below = settings().below;
  return !below.empty() && path.starts_with(below);
}

/// Its inode must not be another file's while the process lives, or copies would be mixed up.
void hold(const char* path) {
  static_cast<void>(::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

void step(const char* what, const std::string& path) {
  Settings& s = settings();
  const long number = s.n_steps.fetch_add(1) + 1;
  if (std::FILE* file = s.steps.empty() ? nullptr : std::fopen(s.steps.c_str(), "a")) {
    std::fprintf(file, "%ld %s %s\n", number, what, path.substr(s.below.size()).c_str());
    std::fclose(file);
  }
  if (number == s.at) ::raise(SIGKILL);
}

void copy_file(int from, const std::string& to) {
  const int in = ::open(("/proc/self/fd/" + std::to_string(from)).c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (in < 0 || out < 0) std::abort();
  char buffer[65536];
  for (ssize_t n; (n = ::read(in, buffer, sizeof buffer)) > 0;) {
    if (::write(out, buffer, static_cast<std::size_t>(n)) != n) std::abort();
  }
  ::close(in);
  ::close(out);
}

void list_folder(const std::string& path, const std::string& to) {
  DIR* folder = ::opendir(path.c_str());
  std::FILE* out = std::fopen(to.c_str(), "w");
  if (folder == nullptr || out == nullptr) std::abort();
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      std::fprintf(out, "%llu %s\n", static_cast<unsigned long long>(entry->d_ino), name.c_str());
    }
  }
  std::fclose(out);
  ::closedir(folder);
}

void keep(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) std::abort();
  const std::string inode = std::to_string(status.st_ino);
  const std::lock_guard lock(settings().mutex);
  if (S_ISDIR(status.st_mode)) {
    list_folder(path, settings().durable + "/folder-" + inode);
  } else {
    copy_file(fd, settings().durable + "/file-" + inode);
  }
}

int sync_and_keep(int fd, long number) {
  const std::string path = path_of(fd);
  if (!is_watched(path)) return static_cast<int>(::syscall(number, fd));
  step("fsync", path);
  const int result = static_cast<int>(::syscall(number, fd));
  if (result == 0) keep(fd, path);
  return result;
}

}  // namespace

extern "C" {

int fsync(int fd) {
  return sync_and_keep(fd, SYS_fsync);
}
int fdatasync(int fd) {
  return sync_and_keep(fd, SYS_fdatasync);
}
int rename(const char* from, const char* to) noexcept {
  if (is_watched(to)) {
    step("rename", to);
    hold(to);
  }
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
int unlink(const char* path) noexcept {
  if (is_watched(path)) {
    step("unlink", path);
    hold(path);
  }
  return static_cast<int>(::syscall(SYS_unlink, path));
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  if (is_watched(path)) {
    step("unlink", path);
    hold(path);
  }
  return static_cast<int>(::syscall(SYS_unlinkat, folder, path, flags));
}
int remove(const char* path) noexcept {
  if (is_watched(path)) {
    step("unlink", path);
    hold(path);
  }
  struct stat status {};
  const bool is_folder = ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  return static_cast<int>(::syscall(is_folder ? SYS_rmdir : SYS_unlink, path));
}

}  // extern "C"
