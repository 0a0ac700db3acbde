#include "cli/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "phase0/error.h"

namespace phase0::cli {
namespace {

/// 0, or the error number of the write that failed.
int write_all(int descriptor, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

void occupy_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is this one. The wrong direction makes every use of it fail.
    const int direction = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    static_cast<void>(::open("/dev/null", direction | O_CLOEXEC));
  }
}

void write_stdout(std::string_view text) {
  const int error_number = write_all(STDOUT_FILENO, text);
  if (error_number == 0 || error_number == EPIPE) return;
  throw Error(ErrorKind::kStorage,
              fmt::format("cannot write to standard output: {}", std::strerror(error_number)));
}

void write_stderr(std::string_view text) noexcept {
  write_all(STDERR_FILENO, text);
}

bool stderr_is_terminal() {
  const char* const term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace phase0::cli
