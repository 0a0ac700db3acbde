#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/system_files.h"
#include "support/temporary_folder.h"

namespace phase0::test {

/// A /proc and /sys of a test's own.
class SystemTree {
 public:
  SystemTree() { write("/proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n"); }

  core::SystemFiles files() const { return {folder_.path()}; }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = folder_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void append(const std::string& path, const std::string& text) const {
    std::ofstream(folder_.path() + path, std::ios::app) << text;
  }
  /// `options` are those of the file system: the controllers of a v1 hierarchy.
  void mount(const std::string& type, const std::string& point, const std::string& options,
             const std::string& root = "/") const {
    append("/proc/self/mountinfo", "35 31 0:32 " + root + " " + point + " rw,relatime shared:9 - " + type +
                                       " " + type + " rw," + options + "\n");
  }
  void available(const std::string& kibibytes) const {
    write("/proc/meminfo", "MemTotal:       64000000 kB\nMemAvailable:   " + kibibytes + " kB\n");
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace phase0::test
