#include "run/run_lock.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "core/text.h"

namespace phase0::run {
namespace {

constexpr int kAttempts = 20;
constexpr std::chrono::milliseconds kPause{50};

std::string describe_this_process() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {"an unnamed machine"};
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("process {} on {} since {:%Y-%m-%dT%H:%M:%SZ}", ::getpid(), host.data(),
                     fmt::gmtime(now));
}

[[noreturn]] void refuse(const std::string& run_dir, const store::FileDescriptor& file) {
  std::array<char, 512> holder{};
  const bool known = ::pread(file.get(), holder.data(), holder.size() - 1, 0) > 0;
  const std::string by = known ? fmt::format(" ({})", core::printable(holder.data())) : "";
  throw Error(ErrorKind::kStorage, fmt::format("another phase0{} is using this run directory", by),
              {run_dir});
}

}  // namespace

RunLock::RunLock(const std::string& run_dir) {
  const std::string path = run_dir + "/.lock";
  store::FileDescriptor file = store::create_file(path, O_RDWR);
  for (int attempt = 1;; ++attempt) {
    // Refused where the file system has no locks: there could be two.
    const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != EWOULDBLOCK && errno != EINTR) store::throw_errno("lock", path);
    if (locked && store::has_name(file, path)) break;
    if (attempt >= kAttempts) refuse(run_dir, file);
    if (locked)
      file = store::create_file(path, O_RDWR);  // its holder has removed it in between
    else
      std::this_thread::sleep_for(kPause);
  }
  const std::string holder = describe_this_process();
  store::resize_file(file, 0, path);
  store::write_exactly(file, 0, std::ssize(holder), holder.data(), path);
  file_ = std::move(file);
}

}  // namespace phase0::run
