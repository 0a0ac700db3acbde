#include "encoders/batch_tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace phase0::encoders {
namespace {

/// Messages to an encoder that does items / (items + overhead) of its best and has memory for `limit`.
struct Simulation {
  std::int64_t limit;
  double overhead = 4;
  double noise = 0;
  std::int64_t n_failures = 0;

  /// The batch that it ends with.
  std::int64_t run(BatchTuner& tuner, int messages, std::uint64_t seed = 1) {
    core::Random random(seed);
    for (int i = 0; i < messages; ++i) {
      const std::int64_t n = tuner.items();
      EXPECT_GE(n, 1);
      EXPECT_LE(n, tuner.ceiling());
      if (n > limit) {
        EXPECT_TRUE(tuner.too_much(n));
        ++n_failures;
      } else {
        tuner.worked(n, (static_cast<double>(n) + overhead) * 1e-3 * std::exp(noise * random.normal()));
      }
    }
    return tuner.items();
  }
};

TEST(BatchTuner, EndsWithinAFifthOfWhatTheMemoryHolds) {
  for (std::int64_t limit = 1; limit <= 300; limit += limit < 20 ? 1 : 13) {
    for (const std::int64_t start : {1, 8, 64, 512}) {
      Simulation simulation{.limit = limit, .overhead = 1000};  // the more, the better
      BatchTuner tuner(start, 512);
      simulation.run(tuner, 300);
      // Now and then half of it is tried.
      std::int64_t largest = 0;
      const std::int64_t failures = simulation.n_failures;
      for (int i = 0; i < 8; ++i) largest = std::max(largest, simulation.run(tuner, 1));
      EXPECT_GE(static_cast<double>(largest), 0.8 * static_cast<double>(limit)) << limit << " from " << start;
      EXPECT_LE(largest, limit);
      EXPECT_EQ(simulation.n_failures, failures) << "it still runs out of memory";
      EXPECT_LE(failures, 12);
    }
  }
}

TEST(BatchTuner, StaysWhereMoreDoesNotHelp) {
  BatchTuner tuner(4, 512);
  for (int i = 0; i < 300; ++i) {
    const auto n = static_cast<double>(tuner.items());
    tuner.worked(tuner.items(), n * 1e-3 * (1 + n * n / 1000));  // best when small
  }
  EXPECT_LE(tuner.items(), 20);
}

TEST(BatchTuner, NoiseDoesNotLeadItAstray) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Simulation simulation{.limit = 90, .overhead = 200, .noise = 0.05};
    BatchTuner tuner(1, 512);
    simulation.run(tuner, 400, seed);
    std::int64_t largest = 0;
    for (int i = 0; i < 8; ++i) largest = std::max(largest, simulation.run(tuner, 1, seed + 100));
    EXPECT_GE(largest, 72) << seed;
  }
}

TEST(BatchTuner, HalvesWhenWhatWorkedIsTooMuchAllAtOnce) {
  BatchTuner tuner(64, 64);
  for (int i = 0; i < 4; ++i) tuner.worked(tuner.items(), 1);
  const std::int64_t before = tuner.items();
  ASSERT_TRUE(tuner.too_much(before));
  EXPECT_EQ(tuner.items(), before / 2);
  EXPECT_LT(tuner.ceiling(), before);
}

TEST(BatchTuner, OneItemHasNothingSmaller) {
  BatchTuner tuner(1, 10);
  EXPECT_FALSE(tuner.too_much(1));
  EXPECT_EQ(tuner.items(), 1);
}

TEST(BatchTuner, SmallMessagesSayNothingAboutSpeed) {
  BatchTuner a(8, 100);
  BatchTuner b(8, 100);
  for (int i = 0; i < 50; ++i) {
    a.worked(a.items(), 0.1 * static_cast<double>(a.items()));
    b.worked(b.items(), 0.1 * static_cast<double>(b.items()));
    b.worked(1, 100);
    EXPECT_EQ(a.items(), b.items());
  }
}

TEST(BatchTuner, LimitFromOutsideIsKept) {
  BatchTuner tuner(50, 100);
  tuner.limit(20);
  for (int i = 0; i < 100; ++i) {
    EXPECT_LE(tuner.items(), 20);
    tuner.worked(tuner.items(), 1);
  }
  tuner.limit(200);
  EXPECT_EQ(tuner.ceiling(), 20);
}

}  // namespace
}  // namespace phase0::encoders
