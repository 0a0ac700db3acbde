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
/// must match its checksum. One that does not, as after a power cut, is as if it were not there.
class StagedRows {
 public:
  struct Sequence {
    std::int64_t n_rows = 0;
    std::int64_t offset = 0;     ///< in bytes
    std::uint32_t checksum = 0;  ///< of number, rows' number and place, and rows
  };
  /// Copies the rows of a sequence, some at a time.
  class Reader {
   public:
    std::int64_t left() const { return sequence_.n_rows - n_read_; }
    /// The next `n` rows, which must be left.
    void read(std::int64_t n, void* out);
    /// Behind the last: throws Error (kStorage) when they are not what was added.
    void check() const;

   private:
    friend class StagedRows;
    Reader(const StagedRows& staged, std::size_t number);
    bool is_sound() const { return left() == 0 && checksum_ == sequence_.checksum; }
    const StagedRows& staged_;
    Sequence sequence_;
    std::int64_t n_read_ = 0;
    std::uint32_t checksum_;
  };

  /// `n_sequences` are all that there can be. Throws Error (kStorage).
  StagedRows(const std::string& path, const std::string& key, std::size_t n_sequences,
             std::int64_t row_bytes);

  /// Those that are there, by number.
  const std::map<std::size_t, Sequence>& sequences() const { return sequences_; }
  /// Adds one that is not there.
  void add(std::size_t sequence, const SequenceRows& rows);
  Reader reader(std::size_t sequence) const { return {*this, sequence}; }
  /// Puts all on the disk. Throws Error (kStorage) when some of it could not be written.
  void sync() const;
  /// Removes both files.
  void remove();

 private:
  bool resume(const std::string& first_line, std::size_t n_sequences);
  bool is_whole(std::size_t number) const;

  std::string rows_path_, index_path_;
  std::int64_t row_bytes_;
  store::FileDescriptor rows_, index_;
  std::int64_t rows_end_ = 0, index_end_ = 0;
  std::map<std::size_t, Sequence> sequences_;
};

}  // namespace phase0::encoders
