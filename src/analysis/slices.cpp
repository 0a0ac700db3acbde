#include "analysis/slices.h"

#include <algorithm>
#include <bit>
#include <map>

#include "core/check.h"

namespace phase0::analysis {
namespace {

constexpr std::size_t kMaxSlices = 64;

bool belongs(const SliceOptions& slice, std::int64_t t, std::int64_t n_frames, bool high_energy) {
  switch (slice.filter) {
    case SliceFilterKind::kAll:
      return true;
    case SliceFilterKind::kEnergyAboveMedian:
      return high_energy;
    case SliceFilterKind::kPosFrac: {
      const double pos_frac = static_cast<double>(t) / static_cast<double>(n_frames);
      return slice.pos_frac_min <= pos_frac && pos_frac <= slice.pos_frac_max;
    }
  }
  return false;
}

bool has_bit(std::uint64_t mask, std::size_t i) {
  return ((mask >> i) & 1) != 0;
}

/// At most so many combinations for each slice are worth fewer additions.
constexpr std::int64_t kCombinationsPerSlice = 2;

/// Whether adding each row once makes up for the sums of all combinations.
bool few_combinations(std::int64_t n_slices, std::span<const MaskCount> counts) {
  std::int64_t combinations = 0;
  std::int64_t rows = 0;
  std::int64_t memberships = 0;
  for (const MaskCount& count : counts) {
    if (count.mask == 0) continue;
    ++combinations;
    rows += count.n_rows;
    memberships += count.n_rows * std::popcount(count.mask);
  }
  if (combinations <= n_slices) return true;
  return combinations <= kCombinationsPerSlice * n_slices && combinations * rows <= n_slices * memberships;
}

}  // namespace

SliceSet::SliceSet(std::vector<SliceOptions> slices) : slices_(std::move(slices)) {
  if (slices_.size() > kMaxSlices) {
    throw Error(ErrorKind::kConfig,
                "slices: " + std::to_string(slices_.size()) + " are too many, at most 64 work");
  }
}

std::int64_t SliceSet::all_slice() const {
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    if (slices_[i].filter == SliceFilterKind::kAll) return static_cast<std::int64_t>(i);
  }
  return -1;
}

std::uint64_t SliceSet::mask(std::int64_t t, std::int64_t n_frames, bool high_energy) const {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    mask |= static_cast<std::uint64_t>(belongs(slices_[i], t, n_frames, high_energy)) << i;
  }
  return mask;
}

std::vector<MaskCount> count_masks(const SliceSet& slices, const SplitInput& split) {
  std::map<std::uint64_t, std::int64_t> counts;
  std::uint64_t last = 0;
  std::int64_t* slot = &counts[0];
  for_each_mask(
      slices, split,
      [&](std::int64_t /*row*/, std::uint64_t mask) {
        if (mask != last) slot = &counts[last = mask];  // neighbours mostly agree
        ++*slot;
      },
      [](std::int64_t /*first*/, std::int64_t /*n*/) {});
  std::vector<MaskCount> result;
  for (const auto& [mask, n_rows] : counts) {
    if (n_rows > 0) result.push_back({mask, n_rows});
  }
  return result;
}

std::vector<std::int64_t> slice_sizes(const SliceSet& slices, std::span<const MaskCount> counts) {
  std::vector<std::int64_t> sizes(slices.size(), 0);
  for (const MaskCount& count : counts) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (has_bit(count.mask, i)) sizes[i] += count.n_rows;
    }
  }
  return sizes;
}

PlaneMap::PlaneMap(const SliceSet& slices, std::span<const MaskCount> counts)
    : planes_by_slice_(slices.size()) {
  const bool by_combination = few_combinations(static_cast<std::int64_t>(slices.size()), counts);
  for (const MaskCount& count : counts) {
    masks_.push_back(count.mask);
    auto& planes = planes_by_mask_.emplace_back();
    if (count.mask == 0) continue;
    if (by_combination) planes.push_back(static_cast<std::int32_t>(n_planes_++));
    for (std::size_t i = 0; i < slices.size(); ++i) {
      if (!has_bit(count.mask, i)) continue;
      if (by_combination) {
        planes_by_slice_[i].push_back(planes.front());
      } else {
        planes.push_back(static_cast<std::int32_t>(i));
      }
    }
  }
  if (!by_combination) {
    n_planes_ = planes_per_row_ = static_cast<std::int64_t>(slices.size());
    for (std::size_t i = 0; i < slices.size(); ++i) planes_by_slice_[i] = {static_cast<std::int32_t>(i)};
  }
}

std::int64_t PlaneMap::most_planes(const std::vector<SliceOptions>& slices) {
  const auto filters = std::count_if(slices.begin(), slices.end(), [](const SliceOptions& slice) {
    return slice.filter != SliceFilterKind::kAll;
  });
  const std::int64_t n_slices = std::ssize(slices);
  const std::int64_t combinations = std::int64_t{1} << std::min<std::int64_t>(filters, 32);
  return std::max(n_slices, std::min(combinations, kCombinationsPerSlice * n_slices));
}

std::span<const std::int32_t> PlaneMap::planes_of(std::uint64_t mask) const {
  const auto found = std::lower_bound(masks_.begin(), masks_.end(), mask);
  PHASE0_CHECK(found != masks_.end() && *found == mask);
  return planes_by_mask_[static_cast<std::size_t>(found - masks_.begin())];
}

}  // namespace phase0::analysis
