#include "core/proc_files.h"

#include <fstream>
#include <sstream>

namespace phase0::core {

std::int64_t proc_kb(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(name + ":")) {
      std::int64_t kb = 0;
      std::istringstream(line.substr(name.size() + 1)) >> kb;
      return kb * 1024;
    }
  }
  return -1;
}

std::string cgroup_path(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controller.empty() ? names == ",," : names.find("," + controller + ",") != std::string::npos) {
      return line.substr(second + 1);
    }
  }
  return {};
}

}  // namespace phase0::core
