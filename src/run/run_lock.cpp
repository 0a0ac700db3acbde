#include "run/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "phase0/error.h"

namespace phase0::run {
namespace {

constexpr int kAttempts = 20;
constexpr std::chrono::milliseconds kPause{50};

[[noreturn]] void refuse(const std::string& path, int fd) {
  char holder[32] = {};
  const bool known = pread(fd, holder, sizeof holder - 1, 0) > 0;
  close(fd);
  throw Error(ErrorKind::kStorage,
              fmt::format("another phase0{} is using this run directory",
                          known ? fmt::format(" (process {})", holder) : ""),
              {path});
}

}  // namespace

RunLock::RunLock(const std::string& run_dir) {
  const std::string path = run_dir + "/.lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) throw Error(ErrorKind::kStorage, fmt::format("cannot open: {}", std::strerror(errno)), {path});
  for (int attempt = 1; flock(fd, LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (attempt == kAttempts) refuse(run_dir, fd);
    std::this_thread::sleep_for(kPause);
  }
  fd_ = fd;
  const std::string pid = std::to_string(getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0)
    return;  // only for the message above
}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace phase0::run
