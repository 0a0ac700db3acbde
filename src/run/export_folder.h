#pragma once

#include <string>

#include "store/atomic_file.h"
#include "store/posix_file.h"

namespace phase0::run {

/// A folder of many files that appears under its name complete or not at all: it is filled as `PATH.partial`
/// and renamed. One that goes without commit removes what it made. Throws Error (kConfig when something is
/// in the way, kStorage).
class ExportFolder {
 public:
  /// `path` must not exist, or be an empty folder.
  explicit ExportFolder(const std::string& path);
  ~ExportFolder();
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;

  void make(const std::string& subfolder);
  void write(const std::string& name, const store::WriteFile& fill);
  void commit();

 private:
  std::string path_;
  std::string partial_;
  store::FileDescriptor folder_;  ///< held from the start, or its sync could miss an error of the write-back
  store::FileDescriptor mark_;    ///< locked: somebody is at work
  bool committed_ = false;
};

}  // namespace phase0::run
