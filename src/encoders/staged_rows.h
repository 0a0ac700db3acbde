#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "encoders/messages.h"
#include "encoders/sequence_encoder.h"
#include "store/posix_file.h"

namespace phase0::encoders {

/// Rows of encoded sequences in the order in which they were finished, on disk, until all are there and can
/// be put into the order of the manifest. Two files: PATH.rows, and PATH.index with a line for each sequence.
/// What an earlier start left is gone on from if it is of the same key; every sequence of it is read back and
/// must match its checksum.
class StagedRows {
 public:
  /// Throws Error (kStorage).
  StagedRows(const std::string& path, const std::string& key, std::int64_t row_bytes);

  /// Rows of the sequences that are there, by number.
  const std::map<std::size_t, std::int64_t>& sequences() const { return n_rows_; }
  /// Adds one that is not there.
  void add(std::size_t sequence, const SequenceRows& rows);
  /// Copies rows [first, first + n) of a sequence.
  void read(std::size_t sequence, std::int64_t first, std::int64_t n, void* out) const;
  /// Removes both files.
  void remove();

 private:
  bool resume(const std::string& first_line);
  bool is_whole(std::size_t sequence, std::int64_t n_rows, std::uint32_t expected) const;

  std::string rows_path_, index_path_;
  std::int64_t row_bytes_;
  store::FileDescriptor rows_, index_;
  std::int64_t rows_end_ = 0, index_end_ = 0;
  std::map<std::size_t, std::int64_t> n_rows_, offsets_;
};

}  // namespace phase0::encoders
