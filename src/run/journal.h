#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "phase0/options.h"
#include "run/run_directory.h"

namespace phase0::run {

/// Which stages of a run directory are finished, and for what: journal.json, rewritten atomically after the
/// files of a stage are on disk. A damaged journal counts as empty.
class Journal {
 public:
  explicit Journal(RunDirectory directory);
  /// Whether `stage` was finished for exactly this key and its files are as it left them.
  bool done(const std::string& stage, const std::string& key) const;
  std::optional<std::string> key(const std::string& stage) const;
  /// A file of a finished stage that is gone or has another size or other contents (store::sampled_checksum)
  /// than it had; empty when there is none.
  std::string changed_file(const std::string& stage) const;
  /// Records a stage whose files are on disk.
  void finish(const std::string& stage, const std::string& key);
  /// Forgets a stage and those that build on it and removes their files, so that old results never lie beside
  /// new ones. What fit has kept stays, unless `fresh`: it says by itself what rows it is of.
  void begin(const std::string& stage, bool fresh);

 private:
  struct File {
    std::string name;
    std::int64_t bytes = 0;
    std::int64_t checksum = 0;
  };
  struct Entry {
    std::string stage, key;
    std::vector<File> files;
  };
  void save() const;
  RunDirectory directory_;
  std::vector<Entry> entries_;
};

/// Names of the files that `stage` and those after it leave: what Journal::begin removes.
std::vector<std::string> files_from(const std::string& stage);

/// Fingerprints of all that a stage's results depend on: the input's identity, the options that matter, the
/// program's version, and the key of the stage before.
std::string collect_key(const Options& options);
/// Of the rows that samples are: all that collect_key is of but the lags below the largest.
std::string rows_key(const Options& options);
std::string fit_key(const Options& options, const std::string& collect_key, const std::string& kernels);
std::string analyze_key(const Options& options, const std::string& fit_key);

}  // namespace phase0::run
