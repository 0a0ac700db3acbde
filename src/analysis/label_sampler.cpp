#include "analysis/label_sampler.h"

#include <bit>
#include <limits>

#include "core/check.h"

namespace phase0::analysis {

LabelSampler::LabelSampler(std::span<const std::int64_t> counts, std::int64_t excluded, core::Random random)
    : random_(random), n_labels_(static_cast<std::int32_t>(counts.size())) {
  n_leaves_ = std::bit_ceil(static_cast<std::uint32_t>(counts.size() + 1));
  left_.assign(n_leaves_, 0);
  const auto put = [this](std::size_t label, std::int64_t count) {
    PHASE0_CHECK(count >= 0);
    remaining_ += count;
    PHASE0_CHECK(remaining_ <= std::numeric_limits<std::int32_t>::max());
    for (auto node = n_leaves_ + static_cast<std::uint32_t>(label); node > 1; node /= 2) {
      if (node % 2 == 0) left_[node / 2] += static_cast<std::uint32_t>(count);
    }
  };
  for (std::size_t label = 0; label < counts.size(); ++label) put(label, counts[label]);
  put(counts.size(), excluded);
}

std::int32_t LabelSampler::next() {
  PHASE0_CHECK(remaining_ > 0);
  auto target = static_cast<std::uint32_t>(random_.below(static_cast<std::uint64_t>(remaining_--)));
  std::uint32_t node = 1;
  while (node < n_leaves_) {
    const std::uint32_t left = left_[node];
    const auto right =
        static_cast<std::uint32_t>(target >= left);  // arithmetic, because a branch is a coin toss
    left_[node] = left - (1 - right);
    target -= left & (0 - right);
    node = 2 * node + right;
  }
  const auto label = static_cast<std::int32_t>(node - n_leaves_);
  return label == n_labels_ ? kExcluded : label;
}

std::int64_t LabelSampler::bytes(std::int64_t n_labels) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(n_labels + 1)) *
                                   sizeof(std::uint32_t));
}

}  // namespace phase0::analysis
