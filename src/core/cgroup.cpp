#include "core/cgroup.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace phase0::core {
namespace {

/// A cgroup file system, of which `root` is the group that shows at `mount_point`.
struct CgroupMount {
  std::string root, mount_point;
};

bool holds(const std::string& comma_list, const std::string& word) {
  return ("," + comma_list + ",").find("," + word + ",") != std::string::npos;
}

/// Undoes the octal escapes of mountinfo: blanks, tabs, newlines and backslashes.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string digits = text[i] == '\\' ? text.substr(i + 1, 3) : "";
    if (digits.size() == 3 && digits.find_first_not_of("01234567") == std::string::npos) {
      out += static_cast<char>(std::stoi(digits, nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// proc(5), /proc/pid/mountinfo: `id parent device root mount_point options optional* - type source
/// super_options`. A later mount on the same point covers an earlier one, so the last match counts.
std::optional<CgroupMount> find_mount(const SystemFiles& files, const std::string& controller) {
  std::ifstream file(files.at("/proc/self/mountinfo"));
  std::optional<CgroupMount> found;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string ignored;
    CgroupMount mount;
    fields >> ignored >> ignored >> ignored >> mount.root >> mount.mount_point;
    while (fields >> ignored && ignored != "-") {
    }
    std::string type;
    std::string super_options;
    fields >> type >> ignored >> super_options;
    const bool wanted =
        controller.empty() ? type == "cgroup2" : type == "cgroup" && holds(super_options, controller);
    if (wanted) found = {unescaped(mount.root), unescaped(mount.mount_point)};
  }
  return found;
}

/// Path of this process's group in a hierarchy: cgroups(7), `id:controllers:path`.
std::string group_path(const SystemFiles& files, const std::string& controller) {
  std::ifstream file(files.at("/proc/self/cgroup"));
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : holds(controllers, controller))
      return line.substr(second + 1);
  }
  return {};
}

/// `path` below `root`, without a slash at the front; empty when it is `root` or lies outside.
std::string below(const std::string& path, const std::string& root) {
  if (path.find("/..") != std::string::npos) return {};  // outside the cgroup namespace
  const std::string top = root == "/" ? "" : root;
  if (path.size() <= top.size() + 1 || !path.starts_with(top + "/")) return {};
  return path.substr(top.size() + 1);
}

}  // namespace

std::vector<CgroupFolder> cgroup_folders(const SystemFiles& files, const std::string& controller) {
  const std::optional<CgroupMount> mount = find_mount(files, controller);
  if (!mount) return {};
  const std::string top = files.at(mount->mount_point);
  std::vector<CgroupFolder> folders;
  std::filesystem::path group = below(group_path(files, controller), mount->root);
  for (; !group.empty(); group = group.parent_path()) {
    // A container may see its path on the host without the folders of it.
    std::error_code missing;
    const std::string path = top + "/" + group.string();
    if (std::filesystem::is_directory(path, missing)) folders.push_back({path, "/" + group.string()});
  }
  folders.push_back({top, "/"});
  return folders;
}

std::optional<std::int64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

std::optional<std::int64_t> read_field(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string key;
    std::int64_t value = 0;
    if (fields >> key >> value && key == name) return value;
  }
  return std::nullopt;
}

std::optional<std::int64_t> read_kibibytes(const std::string& path, const std::string& name) {
  const auto kibibytes = read_field(path, name + ":");
  if (!kibibytes) return std::nullopt;
  return *kibibytes * 1024;
}

}  // namespace phase0::core
