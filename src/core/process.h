#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

/// Other processes of this machine, as /proc shows them (proc(5)). All functions are thread-safe.
namespace phase0::core {

/// A process. The kernel gives a number to somebody else once its owner is gone; the start tells them apart.
struct ProcessId {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  ///< since boot
  bool operator==(const ProcessId&) const = default;
};

struct Process {
  ProcessId id;
  pid_t parent = 0;
  std::int64_t rss_bytes = 0;  ///< resident, pages shared with other processes included
};

/// The process that has the number now; nothing when there is none. Those that have ended and that nobody has
/// waited for count.
std::optional<Process> read_process(pid_t pid);

/// Resident memory with each shared page divided by the number of processes that map it (PSS), in bytes. The
/// kernel walks the page tables for it: some 20 ms per GiB. Nothing when it must not be read or is gone.
std::optional<std::int64_t> pss_bytes(pid_t pid);

/// The command line with blanks between the arguments, cut when long; the name in brackets when it has none.
std::string command_text(pid_t pid);

/// Sends a signal to exactly this process, not to a later one of the same number. False when it is gone or
/// must not be signalled.
bool send_signal(const ProcessId& id, int signal);

}  // namespace phase0::core
