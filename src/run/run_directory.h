#pragma once

#include <string>

namespace phase0::run {

/// Names of the files of a run directory (README.md, "The run directory").
struct RunDirectory {
  std::string path;

  std::string file(const std::string& name) const { return path + "/" + name; }
  std::string features() const { return file("features.h5"); }
  std::string models() const { return file("models.h5"); }
  std::string assignments() const { return file("assignments.h5"); }
};

}  // namespace phase0::run
