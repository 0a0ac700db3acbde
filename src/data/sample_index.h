#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace phase0::data {

enum class Split : std::uint8_t { kNone = 0, kTrain = 1, kEval = 2 };
inline constexpr Split kSplits[] = {Split::kTrain, Split::kEval};

/// The sample rows of one utterance: t = first_t .. n_frames - 1, rows first_row .. first_row + n_rows - 1 of
/// its split.
struct UtteranceRows {
  std::int32_t utterance = 0;  ///< index into the file's utterances
  std::int32_t speaker = 0;    ///< index into the sorted speaker names
  std::int64_t frame_offset = 0;
  std::int64_t n_frames = 0;  ///< T_u
  std::int64_t first_row = 0;
  std::int64_t n_rows = 0;
  std::int64_t first_t = 0;  ///< max(W - 1 + Lmax, 1)
  bool holdout = false;      ///< held out inside train
};

/// The rows of a split in canonical order: utterance order, then t. Holds one entry per utterance, none per
/// row. Immutable; every utterance listed has at least one row.
class SampleIndex {
 public:
  SampleIndex() = default;
  /// `utterances` in order; first_row is filled in here.
  explicit SampleIndex(std::vector<UtteranceRows> utterances);

  std::int64_t n_rows() const { return n_rows_; }
  const std::vector<UtteranceRows>& utterances() const { return utterances_; }
  /// Position in utterances() of the one that holds `row`.
  std::int64_t find(std::int64_t row) const;

 private:
  std::vector<UtteranceRows> utterances_;
  std::int64_t n_rows_ = 0;
};

}  // namespace phase0::data
