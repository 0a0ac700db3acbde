#include "core/process_tree.h"

#include <dirent.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "phase0/error.h"

namespace phase0::core {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

/// Number -> inode of every folder /proc/PID.
std::unordered_map<pid_t, std::uint64_t> list_processes() {
  const std::unique_ptr<DIR, CloseFolder> folder(::opendir("/proc"));
  if (!folder) {
    throw Error(ErrorKind::kStorage, std::string("cannot list the processes: ") + std::strerror(errno),
                ErrorPlace{.path = "/proc"});
  }
  std::unordered_map<pid_t, std::uint64_t> processes;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size()) processes.emplace(pid, entry->d_ino);
  }
  return processes;
}

enum class Membership { kInside, kOutside, kUnknown };

/// Follows the parents of `pid` up to the root or to a process outside. Unknown when one of them has ended
/// since it was named.
Membership membership(pid_t pid, pid_t root, const std::unordered_map<pid_t, Process>& candidates,
                      const std::unordered_map<pid_t, std::uint64_t>& outsiders) {
  // A number that changed hands during the look could close a circle of parents.
  for (std::size_t steps = 0; steps <= candidates.size(); ++steps) {
    const auto process = candidates.find(pid);
    if (process == candidates.end()) return Membership::kUnknown;
    const pid_t parent = process->second.parent;
    if (parent == root) return Membership::kInside;
    if (parent == 0 || outsiders.contains(parent)) return Membership::kOutside;
    pid = parent;
  }
  return Membership::kUnknown;
}

}  // namespace

std::vector<Process> ProcessTree::descendants() {
  InodeOfPid outsiders;
  std::unordered_map<pid_t, Process> candidates;
  const InodeOfPid processes = list_processes();
  for (const auto& [pid, inode] : processes) {
    const auto known = outsiders_.find(pid);
    if (known != outsiders_.end() && known->second == inode) {
      outsiders.insert(*known);
    } else if (pid != root_) {
      if (const auto process = read_process(pid)) candidates.emplace(pid, *process);
    }
  }
  std::vector<Process> inside;
  InodeOfPid found_outside;
  for (const auto& [pid, process] : candidates) {
    switch (membership(pid, root_, candidates, outsiders)) {
      case Membership::kInside:
        inside.push_back(process);
        break;
      case Membership::kOutside:
        found_outside.emplace(pid, processes.at(pid));
        break;
      case Membership::kUnknown:
        break;
    }
  }
  outsiders.merge(found_outside);
  outsiders_ = std::move(outsiders);
  return inside;
}

}  // namespace phase0::core
