#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/latents.h"
#include "data/sample_index.h"
#include "phase0/observer.h"
#include "phase0/options.h"

namespace phase0::data {

/// Who belongs where, decided from the input's metadata alone.
struct SplitPlan {
  std::vector<std::string> speaker_names;  ///< of the whole file, byte order
  std::vector<std::int32_t> speaker;       ///< per utterance, index into speaker_names
  std::vector<Split> split;                ///< per utterance; kNone for those left out
  std::vector<std::uint8_t> holdout;       ///< per utterance, inside train
  std::int64_t first_t = 0;                ///< first row of every utterance

  /// Rows of the utterances of a split, in file order.
  SampleIndex index(Split which, const std::vector<Utterance>& utterances) const;
};

/// Speakers: from the files, or a Fisher-Yates shuffle (core/random.h, seed derived from splits.seed and
/// "speakers") of the byte-sorted names, of which the first n_train are train and the next n_eval are eval.
/// An utterance is kept when it is long enough, not `dropped`, and its speaker is in a set. Of the kept train
/// utterances, floor(frac x n) are held out: the first ones of a shuffle of their numbers (seed "holdout").
/// Throws Error: kConfig for a speaker in both sets or counts that exceed the speakers, kData when a split
/// has no rows.
SplitPlan plan_splits(const Options& options, const std::vector<Utterance>& utterances, double frame_rate_hz,
                      const std::vector<std::uint8_t>& dropped, Observer& observer);

/// First t that has a row: max(W - 1 + Lmax, 1).
std::int64_t first_row_t(const ContextOptions& context);

}  // namespace phase0::data
