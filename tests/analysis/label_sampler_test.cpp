#include "analysis/label_sampler.h"

#include <gtest/gtest.h>

#include <map>

#include "phase0/error.h"

namespace phase0::analysis {
namespace {

std::vector<std::int32_t> draw_all(LabelSampler sampler) {
  std::vector<std::int32_t> labels;
  while (sampler.remaining() > 0) labels.push_back(sampler.next());
  return labels;
}

TEST(LabelSampler, KeepsTheCounts) {
  for (const std::size_t n_labels : {0U, 1U, 2U, 3U, 7U, 8U, 100U}) {
    std::vector<std::int64_t> counts;
    for (std::size_t k = 0; k < n_labels; ++k) counts.push_back(static_cast<std::int64_t>(k * k % 11));
    std::map<std::int32_t, std::int64_t> seen;
    for (const std::int32_t label : draw_all({counts, 5, core::Random(n_labels)})) ++seen[label];
    EXPECT_EQ(seen[LabelSampler::kExcluded], 5);
    for (std::size_t k = 0; k < n_labels; ++k) EXPECT_EQ(seen[static_cast<std::int32_t>(k)], counts[k]) << k;
  }
}

TEST(LabelSampler, EveryArrangementIsEquallyLikely) {
  // Labels 0, 0, 1 and one excluded: 12 arrangements.
  constexpr int kDraws = 24000;
  std::map<std::vector<std::int32_t>, int> seen;
  const std::vector<std::int64_t> counts = {2, 1};
  for (int i = 0; i < kDraws; ++i) {
    ++seen[draw_all({counts, 1, core::Random(core::derive_seed(5, "test", static_cast<std::uint64_t>(i)))})];
  }
  ASSERT_EQ(seen.size(), 12U);
  double chi_square = 0;
  for (const auto& [arrangement, n] : seen) chi_square += (n - 2000.0) * (n - 2000.0) / 2000.0;
  EXPECT_LT(chi_square, 31.26);  // 0.999 quantile at 11 degrees of freedom
  EXPECT_GT(chi_square, 1.0);    // suspiciously even
}

TEST(LabelSampler, RefusesTooManyRows) {
  const std::vector<std::int64_t> counts = {std::int64_t{1} << 31};
  EXPECT_THROW(LabelSampler(counts, 0, core::Random(1)), Error);
}

}  // namespace
}  // namespace phase0::analysis
