#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"

namespace phase0::analysis {

/// Draws cluster labels without replacement, one after the other, from a multiset given by its counts. Drawn
/// to the end this is a uniformly random permutation of the labels, in memory proportional to the number of
/// clusters and not of rows: the label of the next row is k with probability remaining_k / remaining. The
/// counts stand in a binary tree whose inner nodes hold the remaining number of their left half, so a draw
/// takes log2(K + 1) steps. Not thread-safe.
class LabelSampler {
 public:
  static constexpr std::int32_t kExcluded = -1;

  /// Labels 0 .. counts.size() - 1, and kExcluded `excluded` times. The total must be below 2^31.
  LabelSampler(std::span<const std::int64_t> counts, std::int64_t excluded, core::Random random);

  std::int64_t remaining() const { return remaining_; }
  /// The next label; remaining() must be positive.
  std::int32_t next();

  static std::int64_t bytes(std::int64_t n_labels);

 private:
  core::Random random_;
  std::int64_t remaining_ = 0;
  std::uint32_t n_leaves_ = 1;  ///< a power of two; leaf n_labels_ is the excluded label
  std::int32_t n_labels_ = 0;
  std::vector<std::uint32_t> left_;  ///< node i has the children 2i and 2i + 1; leaves are not stored
};

}  // namespace phase0::analysis
