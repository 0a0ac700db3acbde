#include "core/physical_cores.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "core/threads.h"

namespace phase0::core {

int physical_cores(const SystemFiles& files) {
  const int threads = available_threads(files).count;
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return threads;
  std::set<std::string> cores;  // the processors of each, as the system lists them
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &usable)) continue;
    std::ifstream file(
        files.at(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu)));
    std::string siblings;
    if (!std::getline(file, siblings)) return threads;
    cores.insert(siblings);
  }
  return std::clamp(static_cast<int>(cores.size()), 1, threads);
}

}  // namespace phase0::core
