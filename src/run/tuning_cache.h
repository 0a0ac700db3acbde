#pragma once

#include <string>

#include "core/tuning_table.h"

namespace phase0::run {

/// What the tuning of earlier runs on this machine has learnt, by stage: `tuning.json` in the user's cache
/// folder. Only start values: without it, or with a damaged one, a run does the same more slowly at first.
class TuningCache {
 public:
  /// In cache_folder(); no file at all where there is none.
  TuningCache();
  explicit TuningCache(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  /// Empty for a stage that is not known, and when the file is absent, damaged or of another version.
  core::TuningTable load(const std::string& stage) const;
  /// Puts a stage's table in place of the one before, atomically. Does nothing where that fails.
  void save(const std::string& stage, const core::TuningTable& table) const;

 private:
  std::string path_;
};

}  // namespace phase0::run
