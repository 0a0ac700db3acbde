#include "core/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <string_view>

namespace phase0::core {
namespace {

constexpr std::size_t kEnough = 4096;  // for every file read here but the longest command lines

/// The first `kEnough` bytes of /proc/PID/NAME; empty when it cannot be read.
std::string read_start(pid_t pid, const char* name) {
  const int file = ::open(fmt::format("/proc/{}/{}", pid, name).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  char buffer[kEnough];
  ssize_t size = 0;
  do {
    size = ::read(file, buffer, sizeof buffer);
  } while (size < 0 && errno == EINTR);
  ::close(file);
  return {buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

/// Field `index` (from 0) of blank-separated text.
std::string_view field(std::string_view text, int index) {
  for (; index > 0; --index) {
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos) return {};
    text.remove_prefix(blank + 1);
  }
  return text.substr(0, text.find(' '));
}

}  // namespace

std::optional<Process> read_process(pid_t pid) {
  // `pid (name) state parent ...`; the name may hold anything, blanks and brackets included.
  const std::string text = read_start(pid, "stat");
  const auto bracket = text.rfind(") ");
  if (bracket == std::string::npos) return std::nullopt;
  const std::string_view rest = std::string_view(text).substr(bracket + 2);
  const auto parent = parse_number(field(rest, 1));
  const auto start = parse_number(field(rest, 19));
  const auto pages = parse_number(field(rest, 21));
  if (!parent || !start || !pages) return std::nullopt;
  static const std::int64_t page_bytes = ::sysconf(_SC_PAGESIZE);
  return Process{{pid, *start}, static_cast<pid_t>(*parent), static_cast<std::int64_t>(*pages) * page_bytes};
}

std::optional<std::int64_t> pss_bytes(pid_t pid) {
  constexpr std::string_view kName = "\nPss:";
  const std::string text = read_start(pid, "smaps_rollup");
  const auto line = text.find(kName);
  if (line == std::string::npos) return std::nullopt;
  const auto digit = text.find_first_not_of(' ', line + kName.size());
  if (digit == std::string::npos) return std::nullopt;
  const auto kb = parse_number(std::string_view(text).substr(digit));
  return kb ? std::optional(static_cast<std::int64_t>(*kb) * 1024) : std::nullopt;
}

std::string command_text(pid_t pid) {
  constexpr std::size_t kLongest = 1000;
  std::string text = read_start(pid, "cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  if (!text.empty()) return text;
  std::string name = read_start(pid, "comm");
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return "[" + name + "]";
}

bool send_signal(const ProcessId& id, int signal) {
  // The descriptor holds on to whoever has the number now; the start says whether that is the one meant.
  // As system calls: glibc 2.36 declares these functions without C linkage.
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, id.pid, 0));
  if (process < 0 && errno == ESRCH) return false;
  const auto now = read_process(id.pid);
  bool sent = false;
  if (now && now->id == id) {
    // Without descriptors for processes (Linux before 5.3, some sandboxes) a race of microseconds is left.
    sent = (process >= 0 ? ::syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0)
                         : ::kill(id.pid, signal)) == 0;
  }
  if (process >= 0) ::close(process);
  return sent;
}

}  // namespace phase0::core
