#include "core/order_statistics.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/random.h"
#include "phase0/error.h"
#include "support/sanitizers.h"

namespace phase0::core {
namespace {

constexpr std::int64_t kMostKept = 32'768;

std::vector<std::uint64_t> select(int bits, const std::vector<std::uint64_t>& keys,
                                  std::vector<std::int64_t> ranks, int* passes = nullptr) {
  OrderStatistics statistics(bits, ranks);
  int n_passes = 0;
  while (statistics.next_pass()) {
    ++n_passes;
    statistics.add(keys);
  }
  if (passes != nullptr) *passes = n_passes;
  std::vector<std::uint64_t> values;
  values.reserve(ranks.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) values.push_back(statistics.value(i));
  return values;
}

TEST(OrderStatistics, EqualsSortingForEveryWidth) {
  Random random(7);
  struct Stream {
    std::int64_t n;
    int most_passes;
  };
  for (const int bits : {16, 32, 48, 64}) {
    // The first pass keeps all keys, or one too many comes; then the second keeps those with the ranks' first
    // digits.
    for (const Stream& stream : {Stream{3500, 1}, Stream{kMostKept, 1}, Stream{kMostKept + 1, 2}}) {
      const std::int64_t n = stream.n;
      std::vector<std::uint64_t> keys;
      keys.reserve(static_cast<std::size_t>(n));
      while (std::ssize(keys) < n - 500) keys.push_back(random.next() >> (64 - bits));
      while (std::ssize(keys) < n) keys.push_back(keys[static_cast<std::size_t>(random.below(50))]);  // ties
      std::vector<std::uint64_t> sorted = keys;
      std::sort(sorted.begin(), sorted.end());
      const std::vector<std::int64_t> ranks = {0, 17, 17, n - 1, n / 2, n / 2 + 1, n / 4};
      int passes = 0;
      const auto values = select(bits, keys, ranks, &passes);
      EXPECT_EQ(passes, std::min(stream.most_passes, bits / 16)) << n << " keys of " << bits << " bits";
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        EXPECT_EQ(values[i], sorted[static_cast<std::size_t>(ranks[i])])
            << n << " keys of " << bits << " bits, rank " << ranks[i];
      }
    }
  }
}

TEST(OrderStatistics, KeysThatCrowdAreCountedDigitByDigit) {
  Random random(8);
  std::vector<std::uint64_t> keys;
  for (std::int64_t i = 0; i < 2 * kMostKept; ++i) {
    keys.push_back((std::uint64_t{0xabcdef012345} << 16) | random.below(1 << 16));
  }
  std::vector<std::uint64_t> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  int passes = 0;
  const auto values = select(64, keys, {5, kMostKept, 2 * kMostKept - 1}, &passes);
  EXPECT_EQ(passes, 4);
  EXPECT_EQ(values, (std::vector<std::uint64_t>{sorted[5], sorted[kMostKept], sorted.back()}));
}

TEST(OrderStatistics, KeysThatShareTheirHighDigits) {
  std::vector<std::uint64_t> keys;
  keys.reserve(1000);
  for (std::uint64_t i = 0; i < 1000; ++i) keys.push_back((std::uint64_t{0xabcdef} << 32) | (999 - i));
  EXPECT_EQ(select(64, keys, {0, 500, 999}), (std::vector<std::uint64_t>{keys[999], keys[499], keys[0]}));
}

TEST(OrderStatistics, WhatComesBehindTheLastPassIsIgnored) {
  for (const std::int64_t n : {std::int64_t{10}, 2 * kMostKept}) {
    OrderStatistics least(32, {0});
    while (least.next_pass()) {
      for (std::int64_t i = 0; i < n; ++i) least.add(7U << 16);
    }
    for (const std::uint64_t key : {0U, 7U, 7U << 16}) least.add(key);
    EXPECT_FALSE(least.next_pass());
    EXPECT_EQ(least.value(0), 7U << 16);
  }
}

/// Of the heap, in blocks of any size.
std::int64_t allocated() {
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

TEST(OrderStatistics, TakesNoMoreMemoryThanStated) {
  if (test::kSanitized) GTEST_SKIP() << "the heap is the sanitizer's";
  Random random(9);
  // Few keys, one too many to be kept, and many that share 20 beginnings.
  for (const std::int64_t n : {kMostKept, kMostKept + 1, 3 * kMostKept}) {
    std::vector<std::uint64_t> keys;
    keys.reserve(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) keys.push_back((random.below(20) << 48) | random.next() >> 16);
    for (const std::int64_t n_ranks : {1, 20}) {
      std::vector<std::int64_t> ranks;
      for (std::int64_t i = 0; i < n_ranks; ++i) ranks.push_back((2 * i + 1) * n / (2 * n_ranks));
      const std::int64_t before = allocated();
      OrderStatistics statistics(64, ranks);
      std::int64_t most = 0;
      while (statistics.next_pass()) {
        most = std::max(most, allocated() - before);
        for (std::size_t i = 0; i < keys.size(); ++i) {
          statistics.add(keys[i]);
          if (i % 256 == 0) most = std::max(most, allocated() - before);
        }
        most = std::max(most, allocated() - before);
      }
      most = std::max(most, allocated() - before);
      const std::int64_t stated = OrderStatistics::bytes(n, n_ranks);
      EXPECT_LE(most, stated + (16 << 10)) << n << " keys, " << n_ranks << " ranks";
      EXPECT_GE(most, (n_ranks > 1 && n > 2 * kMostKept ? stated * 3 / 4 : kMostKept * 8)) << n << " keys";
      EXPECT_LE(allocated() - before, 16 << 10) << "behind the last pass";
    }
  }
}

TEST(OrderStatistics, NoRanksNeedNoPass) {
  OrderStatistics none(64, {});
  EXPECT_FALSE(none.next_pass());
}

TEST(OrderStatistics, RefusesRanksBeyondTheStreamAndStreamsThatChange) {
  EXPECT_THROW(select(32, {1, 2, 3}, {3}), Error);
  EXPECT_THROW(OrderStatistics(32, {-1}), Error);
  EXPECT_THROW(OrderStatistics(20, {0}), Error);
  EXPECT_THROW(select(32, std::vector<std::uint64_t>(kMostKept + 1), {kMostKept + 1}), Error);
  for (const std::int64_t same : {std::int64_t{20}, kMostKept + 1}) {  // kept and counted in the second pass
    OrderStatistics changing(32, {0});
    ASSERT_TRUE(changing.next_pass());
    for (std::int64_t i = 0; i < same; ++i) changing.add(5);
    for (std::int64_t i = 0; i < kMostKept; ++i) changing.add(1U << 20);
    ASSERT_TRUE(changing.next_pass());
    for (std::int64_t i = 0; i <= same; ++i) changing.add(5);
    EXPECT_THROW(changing.next_pass(), Error) << same;
  }
}

TEST(OrderedKey, KeepsTheOrderOfFloats) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> ascending = {-inf,   -1e30F, -2.0F, -1.5F, -1e-40F, 0.0F,
                                        1e-40F, 1e-20F, 1.0F,  3e38F, inf};
  for (std::size_t i = 0; i + 1 < ascending.size(); ++i) {
    EXPECT_LT(ordered_key(ascending[i]), ordered_key(ascending[i + 1])) << ascending[i];
  }
  for (const float x : ascending) EXPECT_EQ(from_ordered_key(ordered_key(x)), x);
  EXPECT_EQ(ordered_key(-0.0F), ordered_key(0.0F));
  EXPECT_FALSE(std::signbit(from_ordered_key(ordered_key(-0.0F))));
}

double quantile(std::vector<double> sorted, double q) {
  const auto p = quantile_position(static_cast<std::int64_t>(sorted.size()), q);
  return interpolate(sorted[static_cast<std::size_t>(p.lower)], sorted[static_cast<std::size_t>(p.upper)],
                     p.weight);
}

TEST(Quantile, AgreesWithNumpy) {
  // numpy.quantile(..., method="linear")
  EXPECT_EQ(quantile({1, 2, 3, 4}, 0.25), 1.75);
  EXPECT_EQ(quantile({1, 2, 3, 4}, 0.5), 2.5);
  EXPECT_EQ(quantile({1, 2, 3, 4}, 0.75), 3.25);
  EXPECT_EQ(quantile({0.1, 0.7, 0.9, 1.3, 2.2}, 0.9), 1.8400000000000003);
  EXPECT_EQ(quantile({0.1, 0.7, 0.9, 1.3, 2.2}, 0.0), 0.1);
  EXPECT_EQ(quantile({0.1, 0.7, 0.9, 1.3, 2.2}, 1.0), 2.2);
  EXPECT_EQ(quantile({5}, 0.75), 5);
}

TEST(Quantile, InterpolatesFromTheNearerEnd) {
  EXPECT_EQ(interpolate(1e16, 1, 1.0), 1);  // a + (b - a) * 1 would give 0
  EXPECT_EQ(interpolate(0.1, 0.3, 0.0), 0.1);
}

}  // namespace
}  // namespace phase0::core
