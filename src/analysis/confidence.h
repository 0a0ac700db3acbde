#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "analysis/clusters.h"
#include "analysis/slices.h"
#include "core/execution.h"

namespace phase0::analysis {

/// Points of the confidence curve: q = 10 %, 20 %, .. 100 %.
inline constexpr std::int64_t kCurvePoints = 10;

/// What orders rows by (distance, row): the bits of a non-negative float32 ascend with its value.
inline std::uint64_t confidence_key(float distance, std::int64_t row) {
  return std::uint64_t{std::bit_cast<std::uint32_t>(distance + 0.0F)} << 32 | static_cast<std::uint64_t>(row);
}

/// Where the curve of one cell, slice and split is cut. A row of the slice in an effective cluster belongs to
/// the first i with key <= keys[i], and to all later ones.
struct ConfidenceCuts {
  std::int64_t n_rows = 0;                          ///< included rows
  std::array<std::int64_t, kCurvePoints> counts{};  ///< ceil(q * n / 100)
  std::array<std::uint64_t, kCurvePoints> keys{};   ///< key of the last row; only with n_rows > 0

  float max_distance(std::size_t i) const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(keys[i] >> 32));
  }
  std::int32_t bin(std::uint64_t key) const {
    std::int32_t bin = 0;
    for (const std::uint64_t cut : keys) bin += static_cast<std::int32_t>(cut < key);
    return bin;
  }
};

/// The cuts of every cell and slice of a split, [cell * n_slices + slice], exact, from the distances alone
/// (at most five passes over ids and distances). Throws Error (kData) for a negative or undefined distance.
std::vector<ConfidenceCuts> confidence_cuts(const SliceSet& slices, const SplitInput& split,
                                            const std::vector<const Assignment*>& cells,
                                            const std::vector<ClusterTable>& tables,
                                            core::Execution& execution);

/// Memory that `confidence_cuts` needs for one cell and slice at a time, of a split with so many rows.
std::int64_t confidence_cuts_bytes(std::int64_t n_rows);
/// Cells and slices that it works on at once.
std::int64_t cuts_in_parallel(std::int64_t n_rows, int threads, std::int64_t free_bytes);

}  // namespace phase0::analysis
