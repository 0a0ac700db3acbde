#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/execution.h"
#include "store/h5_writer.h"
#include "store/mapped.h"

namespace phase0::data {

/// How many leading rows of each declared dataset of features.h5 are filled, with a checksum of them: kept as
/// the unit "collect: progress", which a later start goes on from. A unit speaks of rows that an fsync has
/// made durable before. Without a store of units it does nothing. Not thread-safe but for checksum().
class FeaturesProgress {
 public:
  /// `key`: fingerprint of all that the file depends on.
  FeaturesProgress(core::Execution& execution, const std::string& key);

  /// Whether an earlier start left something to go on from.
  bool found() const { return !finished_.empty(); }
  /// Once `file` streams, `resumed` in the partial file of that start: then the rows are read back, and when
  /// a checksum is off nothing counts as finished. Throws Error (kStorage, kInterrupted).
  void begin(store::H5Writer& file, bool resumed);

  /// Rows of `dataset` that are finished; tells the observer of them under `task`.
  std::int64_t resume(const std::string& dataset, const std::string& task, std::int64_t n_rows) const;
  /// Of rows [first, first + n); 0 when nothing is kept.
  std::uint32_t checksum(const store::MappedDataset& rows, std::int64_t first, std::int64_t n) const;
  /// The next `n_rows` of `dataset`, flushed, in ascending order.
  void add(const std::string& dataset, std::int64_t n_rows, std::int64_t bytes, std::uint32_t checksum);
  /// The same of rows that are not flushed yet, which they are on return.
  void finish(const std::string& dataset, const store::MappedDataset& rows, std::int64_t first,
              std::int64_t n);
  bool due() const { return checkpoint_.due(); }
  void save_when_due();
  /// On the way out with an error: saves what is not yet, and has `file` keep the partial file when there is
  /// something to go on from.
  void stop();

 private:
  struct Finished {
    std::int64_t rows = 0;
    std::uint32_t checksum = 0;
  };
  using Datasets = std::map<std::string, Finished>;

  bool load(Datasets& datasets);
  void save();
  void start_over(LogLevel level, const std::string& why);
  std::string damaged_dataset() const;
  bool sound(const store::MappedDataset& rows, const Finished& finished) const;

  core::Execution& execution_;
  core::Checkpoint checkpoint_;
  store::H5Writer* file_ = nullptr;
  Datasets finished_;
  bool changed_ = false;  ///< since it was saved
};

}  // namespace phase0::data
