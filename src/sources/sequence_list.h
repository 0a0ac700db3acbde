#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/memory.h"
#include "sources/sequence_reader.h"

namespace phase0::sources {

/// The sequences of a source, as they are found. What they take until the output is written, copies on the
/// way included, is reserved as the list grows; from where there is no room for more they are only counted,
/// so that the error can say what would do.
class SequenceList {
 public:
  /// `memory` must outlive it.
  explicit SequenceList(core::MemoryBudget& memory) : memory_(memory) {}

  /// Reserves for `n` sequences with names of so many bytes in all, before the first. Throws Error (kMemory).
  void expect(std::int64_t n, std::int64_t name_bytes);
  /// Whether there is room for `bytes` more. Where there is not, nothing else is to be kept either.
  bool charge(std::int64_t bytes);
  /// Charges for a sequence, and keeps it if there is room.
  bool add(Sequence sequence);
  /// After the last. Throws Error (kMemory) unless all have been kept.
  void finish();

  bool full() const { return full_; }
  /// How many were added, kept or not.
  std::int64_t count() const { return count_; }
  std::vector<Sequence>& kept() { return kept_; }
  const std::vector<Sequence>& kept() const { return kept_; }

 private:
  core::MemoryBudget& memory_;
  std::vector<core::Reservation> reserved_;
  std::int64_t needed_bytes_ = 0;
  std::int64_t reserved_bytes_ = 0;
  std::int64_t count_ = 0;
  bool full_ = false;
  std::vector<Sequence> kept_;
};

}  // namespace phase0::sources
