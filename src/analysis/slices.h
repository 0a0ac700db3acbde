#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "analysis/analyze.h"

namespace phase0::analysis {

/// The configured slices as predicates of a row. At most 64. Immutable.
class SliceSet {
 public:
  SliceSet() = default;
  /// Throws Error (kConfig) for more than 64 slices.
  explicit SliceSet(std::vector<SliceOptions> slices);

  std::size_t size() const { return slices_.size(); }
  const SliceOptions& operator[](std::size_t i) const { return slices_[i]; }
  const std::vector<SliceOptions>& slices() const { return slices_; }
  /// The first slice without a filter, or -1.
  std::int64_t all_slice() const;
  /// Bit i: the row belongs to slice i. pos_frac is t / T_u in float64, not the stored float32.
  std::uint64_t mask(std::int64_t t, std::int64_t n_frames, bool high_energy) const;

 private:
  std::vector<SliceOptions> slices_;
};

/// Calls `visit(row, mask)` for rows [first, first + n) of a split, all of one utterance.
template <typename Visit>
void for_each_mask(const SliceSet& slices, const SplitInput& split, const data::UtteranceRows& utterance,
                   std::int64_t first, std::int64_t n, const Visit& visit) {
  const std::uint8_t* high = split.high_energy.empty() ? nullptr : split.high_energy.data<std::uint8_t>();
  for (std::int64_t row = first; row < first + n; ++row) {
    const std::int64_t t = utterance.first_t + (row - utterance.first_row);
    visit(row, slices.mask(t, utterance.n_frames, high != nullptr && high[row] != 0));
  }
}

/// Rows of a split whose mapped values are read before their pages are given back.
inline constexpr std::int64_t kReleaseRows = std::int64_t{1} << 18;

/// The same for all rows; `release(first, n)` follows when what is mapped of n rows is to be given back.
template <typename Visit, typename Release>
void for_each_mask(const SliceSet& slices, const SplitInput& split, const Visit& visit,
                   const Release& release) {
  std::int64_t released = 0;
  const auto release_to = [&](std::int64_t end) {
    split.high_energy.release(released, end - released);
    release(released, end - released);
    released = end;
  };
  for (const auto& utterance : split.index->utterances()) {
    const std::int64_t end = utterance.first_row + utterance.n_rows;
    for (std::int64_t row = utterance.first_row; row < end;) {
      const std::int64_t n = std::min(end - row, released + kReleaseRows - row);
      for_each_mask(slices, split, utterance, row, n, visit);
      row += n;
      if (row - released == kReleaseRows) release_to(row);
    }
  }
  release_to(split.index->n_rows());
}

/// How many rows of a split belong to each combination of slices that occurs.
struct MaskCount {
  std::uint64_t mask = 0;
  std::int64_t n_rows = 0;
};
/// Ascending by mask.
std::vector<MaskCount> count_masks(const SliceSet& slices, const SplitInput& split);
/// Rows of each slice.
std::vector<std::int64_t> slice_sizes(const SliceSet& slices, std::span<const MaskCount> counts);

/// Where a row's values are added, so that each slice's sum can be put together from planes. A plane is a
/// combination of slices and a row is added once, where combinations are few: no more than slices, or up to
/// twice as many while rows are saved by a larger factor. Otherwise a plane is a slice and a row is added to
/// each of its slices. Immutable.
class PlaneMap {
 public:
  PlaneMap() = default;
  PlaneMap(const SliceSet& slices, std::span<const MaskCount> counts);

  std::int64_t n_planes() const { return n_planes_; }
  /// Planes that take a row, at most.
  std::int64_t planes_per_row() const { return planes_per_row_; }
  /// The most planes that there can be for these slices.
  static std::int64_t most_planes(const std::vector<SliceOptions>& slices);
  /// Planes that take a row with this mask; the mask must be one that occurs.
  std::span<const std::int32_t> planes_of(std::uint64_t mask) const;
  /// Planes whose sum is a slice.
  const std::vector<std::vector<std::int32_t>>& planes_by_slice() const { return planes_by_slice_; }

 private:
  std::int64_t n_planes_ = 0;
  std::int64_t planes_per_row_ = 1;
  std::vector<std::uint64_t> masks_;  ///< ascending
  std::vector<std::vector<std::int32_t>> planes_by_mask_;
  std::vector<std::vector<std::int32_t>> planes_by_slice_;
};

}  // namespace phase0::analysis
