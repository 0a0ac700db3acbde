#include "data/sample_index.h"

#include <algorithm>

#include "core/check.h"

namespace phase0::data {

SampleIndex::SampleIndex(std::vector<UtteranceRows> utterances) : utterances_(std::move(utterances)) {
  for (auto& utterance : utterances_) {
    PHASE0_CHECK(utterance.n_rows > 0 && utterance.first_t + utterance.n_rows == utterance.n_frames);
    utterance.first_row = n_rows_;
    n_rows_ += utterance.n_rows;
  }
}

std::int64_t SampleIndex::find(std::int64_t row) const {
  PHASE0_CHECK(row >= 0 && row < n_rows_);
  const auto after = std::upper_bound(utterances_.begin(), utterances_.end(), row,
                                      [](std::int64_t r, const UtteranceRows& u) { return r < u.first_row; });
  return after - utterances_.begin() - 1;
}

}  // namespace phase0::data
