#pragma once

#include <cstdint>
#include <vector>

#include "data/sample_index.h"

namespace phase0::analysis {

/// Consecutive rows of one utterance.
struct RowSegment {
  const data::UtteranceRows* utterance = nullptr;
  std::int64_t first_row = 0;
  std::int64_t n_rows = 0;
  std::int64_t chunk_row = 0;  ///< where they stand in the chunk
};

/// Consecutive rows, possibly of several utterances, that one worker loads.
struct LoadRange {
  std::int64_t first_row = 0;
  std::int64_t n_rows = 0;
  std::int64_t chunk_row = 0;
};

/// Rows of one speaker inside a chunk.
struct SpeakerRun {
  std::int32_t slot = -1;  ///< number among the speakers with enough rows, or -1
  std::int64_t chunk_row = 0;
  std::int64_t n_rows = 0;
  bool ends = false;  ///< the speaker's last rows
};

/// Some rows in speaker order, to be handled together.
struct Chunk {
  std::int64_t n_rows = 0;
  std::vector<RowSegment> segments;
  std::vector<LoadRange> loads;
  std::vector<SpeakerRun> speakers;
};

/// The order in which the analysis adds rows up: speakers ascending, a speaker's utterances in utterance
/// order, then t. It depends on the index alone, so sums in this order do not depend on how it is cut into
/// chunks. Speakers with fewer than `min_speaker_rows` rows in the split get no slot. The index must outlive
/// it.
class SpeakerOrder {
 public:
  SpeakerOrder(const data::SampleIndex& index, std::int64_t min_speaker_rows);

  std::int64_t n_rows() const { return n_rows_; }
  /// Speaker indices by slot.
  const std::vector<std::int32_t>& slot_speakers() const { return slot_speakers_; }

 private:
  friend class ChunkReader;
  struct Item {
    const data::UtteranceRows* utterance;
    std::int32_t slot;
    bool last_of_speaker;
  };
  std::int64_t n_rows_;
  std::vector<Item> items_;
  std::vector<std::int32_t> slot_speakers_;
};

/// Cuts the order into chunks of at most `chunk_rows` rows, loaded in ranges of at most `load_rows`. A copy
/// goes on from the same row.
class ChunkReader {
 public:
  ChunkReader(const SpeakerOrder& order, std::int64_t chunk_rows, std::int64_t load_rows)
      : order_(&order), chunk_rows_(chunk_rows), load_rows_(load_rows) {}
  void set_chunk_rows(std::int64_t chunk_rows) { chunk_rows_ = chunk_rows; }
  /// The next chunk; false (and an empty chunk) at the end.
  bool next(Chunk& chunk);

 private:
  void append(const SpeakerOrder::Item& item, std::int64_t n, Chunk& chunk) const;

  const SpeakerOrder* order_;
  std::int64_t chunk_rows_;
  std::int64_t load_rows_;
  std::size_t item_ = 0;
  std::int64_t skip_ = 0;  ///< rows of the current utterance already handed out
};

}  // namespace phase0::analysis
