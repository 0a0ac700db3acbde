#pragma once

#include <string>

namespace phase0::core {

/// Where the kernel's files (/proc, /sys) are read from: the root folder, or one that a test has laid out.
struct SystemFiles {
  std::string root;  ///< prefix of every absolute path; empty for the real ones

  std::string at(const std::string& absolute_path) const { return root + absolute_path; }
};

}  // namespace phase0::core
