#include "core/chunk_tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/random.h"

namespace phase0::core {
namespace {

/// Blocks per second against blocks in flight.
using Curve = std::function<double(double blocks)>;

double best_of(const Curve& curve, std::int64_t ceiling) {
  double best = 0;
  for (std::int64_t blocks = 1; blocks <= ceiling; ++blocks) {
    best = std::max(best, curve(static_cast<double>(blocks)));
  }
  return best;
}

/// Throughput of a scan, by its first and its second half. Chunks take `noise` (of their logarithm) more or
/// less; one in fifty five times as long, one in a hundred half.
struct Halves {
  double first, second;
};
Halves simulate(const Curve& curve, std::int64_t start, std::int64_t ceiling, double noise,
                std::uint64_t seed) {
  constexpr std::int64_t kBlocks = 6000;
  Random random(seed);
  ChunkTuner tuner(start, ceiling);
  double seconds[2] = {0, 0};
  double done[2] = {0, 0};
  for (std::int64_t first = 0; first < kBlocks;) {
    const std::int64_t n = tuner.blocks();
    const double expected = static_cast<double>(n) / curve(static_cast<double>(n));
    double taken = expected * std::exp(noise * random.normal());
    const double odd = noise > 0 ? random.uniform() : 1;
    if (odd < 0.02) taken *= 5;
    if (odd > 0.02 && odd < 0.03) taken /= 2;
    tuner.report(1000 * n, taken);
    const std::size_t half = first < kBlocks / 2 ? 0 : 1;
    seconds[half] += expected;
    done[half] += static_cast<double>(n);
    first += n;
  }
  return {done[0] / seconds[0], done[1] / seconds[1]};
}

// Overhead for each chunk; the same with a cache that is outgrown; a peak with a slow decline.
const Curve kCurves[] = {
    [](double b) { return b / (b + 1); },
    [](double b) { return b / (b + 1) / (1 + 0.5 * b * b / 256); },
    [](double b) { return b / (b + 2) * std::pow(std::max(b, 8.0) / 8, -0.25); },
    [](double) { return 1.0; },
};

TEST(ChunkTuner, ReachesNineTenthsOfTheBestFromABadStartWithinOneScan) {
  for (const Curve& curve : kCurves) {
    for (const std::int64_t ceiling : {8, 16, 64}) {
      for (const std::int64_t start : {std::int64_t{1}, std::int64_t{4}, ceiling}) {
        const Halves quiet = simulate(curve, start, ceiling, 0, 1);
        EXPECT_GE(quiet.second, 0.9 * best_of(curve, ceiling)) << "from " << start << " of " << ceiling;
        double noisy = 0;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
          noisy += simulate(curve, start, ceiling, 0.1, seed).second / 20;
        }
        EXPECT_GE(noisy, 0.9 * best_of(curve, ceiling)) << "from " << start << " of " << ceiling;
      }
    }
  }
}

TEST(ChunkTuner, StaysBetweenOneAndTheCeiling) {
  Random random(3);
  ChunkTuner tuner(1000, 9);
  EXPECT_EQ(tuner.blocks(), 9);
  for (int i = 0; i < 2000; ++i) {
    tuner.report(1000, std::exp(2 * random.normal()));
    ASSERT_GE(tuner.blocks(), 1);
    ASSERT_LE(tuner.blocks(), 9);
  }
  ChunkTuner one(0, 1);
  for (int i = 0; i < 100; ++i) one.report(1000, std::exp(random.normal()));
  EXPECT_EQ(one.blocks(), 1);
}

TEST(ChunkTuner, GrowsByAQuarterWhileThroughputHolds) {
  ChunkTuner tuner(1, 100);
  for (const std::int64_t expected : {2, 3, 4, 5, 6, 7, 8, 10, 12, 15}) {
    tuner.report(1000 * tuner.blocks(), static_cast<double>(tuner.blocks()));
    EXPECT_EQ(tuner.blocks(), expected);
  }
}

TEST(ChunkTuner, ShrinksWhenThroughputFallsForTwoChunksAndNotForOne) {
  ChunkTuner tuner(10, 100);
  for (int i = 0; i < 4; ++i) tuner.report(1000, 1.0);
  const std::int64_t before = tuner.blocks();
  tuner.report(1000, 5.0);
  EXPECT_EQ(tuner.blocks(), before);
  tuner.report(1000, 5.0);
  EXPECT_EQ(tuner.blocks(), before * 8 / 10);
}

TEST(ChunkTuner, OddChunksDoNotRatchetItDown) {
  const Curve overhead = kCurves[0];
  // A lucky chunk must not become the measure of all that follow.
  ChunkTuner tuner(4, 64);
  for (int i = 0; i < 2000; ++i) {
    const auto blocks = static_cast<double>(tuner.blocks());
    const double seconds = blocks / overhead(blocks);
    tuner.report(1000 * tuner.blocks(), i % 40 == 7 ? seconds / 20 : (i % 40 == 20 ? seconds * 20 : seconds));
  }
  EXPECT_GE(overhead(static_cast<double>(tuner.blocks())), 0.9 * best_of(overhead, 64));
}

TEST(ChunkTuner, AMachineThatHasBecomeSlowerDoesNotShrinkItToNothing) {
  const Curve overhead = kCurves[0];
  ChunkTuner tuner(4, 64);
  for (int i = 0; i < 400; ++i) {
    const auto blocks = static_cast<double>(tuner.blocks());
    tuner.report(1000 * tuner.blocks(), (i < 100 ? 1 : 10) * blocks / overhead(blocks));
  }
  EXPECT_GE(overhead(static_cast<double>(tuner.blocks())), 0.9 * best_of(overhead, 64));
}

TEST(ChunkTuner, HalvesOnFailureForAGoodWhile) {
  ChunkTuner tuner(16, 64);
  EXPECT_TRUE(tuner.halve(16));
  EXPECT_EQ(tuner.blocks(), 8);
  for (int i = 0; i < 30; ++i) {
    tuner.report(1000, 1.0);
    EXPECT_LE(tuner.blocks(), 8);
  }
  for (int i = 0; i < 300; ++i) tuner.report(1000 * tuner.blocks(), 1.0);
  EXPECT_GT(tuner.blocks(), 8);  // what used the memory may be gone
  EXPECT_TRUE(tuner.halve(3));
  EXPECT_EQ(tuner.blocks(), 1);
  EXPECT_FALSE(tuner.halve(1));
}

TEST(ChunkTuner, IgnoresWhatIsNoMeasurement) {
  ChunkTuner tuner(4, 64);
  tuner.report(0, 1.0);
  tuner.report(100, 0.0);
  tuner.report(100, -1.0);
  EXPECT_EQ(tuner.blocks(), 4);
}

}  // namespace
}  // namespace phase0::core
