#include "models/moments.h"

#include <gtest/gtest.h>

#include "models/quartile.h"
#include "models/sources.h"

namespace phase0::models {
namespace {

using testing::Machine;

TEST(Moments, MatchTwoPassFloat64AtAnyOffsetAndThreadCount) {
  for (const double offset : {0.0, 1e4}) {
    const std::int64_t d = 5;
    const auto x = testing::normals(70001 * d, 41, 0.5, offset);
    const auto source = data::matrix_source(testing::matrix(x, d));
    Machine one(1);
    const Moments reference = column_moments(*source, one.execution, "moments");
    for (std::int64_t j = 0; j < d; ++j) {
      double mean = 0;
      double variance = 0;
      for (std::int64_t r = 0; r < 70001; ++r)
        mean += static_cast<double>(x[static_cast<std::size_t>(r * d + j)]);
      mean /= 70001;
      for (std::int64_t r = 0; r < 70001; ++r) {
        const double deviation = static_cast<double>(x[static_cast<std::size_t>(r * d + j)]) - mean;
        variance += deviation * deviation / 70001;
      }
      EXPECT_NEAR(reference.mean()[static_cast<std::size_t>(j)], mean, 1e-12 * (1 + offset));
      EXPECT_NEAR(reference.variance(0)[static_cast<std::size_t>(j)], variance, 1e-9 * variance);
    }
    Machine three(3);
    const Moments other = column_moments(*source, three.execution, "moments");
    EXPECT_EQ(other.mean(), reference.mean());
    EXPECT_EQ(other.variance(1), reference.variance(1));
  }
}

TEST(Moments, VarianceOfOneRowIsZero) {
  Moments moments(2);
  const float row[] = {1.0f, 2.0f};
  moments.add(row, 1);
  EXPECT_EQ(moments.variance(0), std::vector<double>({0.0, 0.0}));
  EXPECT_EQ(moments.variance(1), std::vector<double>({0.0, 0.0}));
}

TEST(Quartiles, EdgesAreLinearPercentilesAndIdsCountThem) {
  // 0..4 shuffled in the first column, constants in the second.
  const std::vector<float> x = {3, 7, 0, 7, 4, 7, 1, 7, 2, 7};
  const auto source = data::matrix_source(testing::matrix(x, 2));
  for (const int threads : {1, 3}) {
    Machine machine(threads);
    const QuartileModel model = fit_quartiles(*source, machine.execution, "edges");
    EXPECT_EQ(model.edges, std::vector<float>({1, 2, 3, 7, 7, 7}));
    EXPECT_EQ(model.n_clusters(), 16);
    const float rows[][2] = {{0.5f, 6}, {1, 7}, {2.5f, 7}, {3, 8}};
    EXPECT_EQ(quartile_id(model, rows[0]), 0);
    EXPECT_EQ(quartile_id(model, rows[1]), 1 + 4 * 3);
    EXPECT_EQ(quartile_id(model, rows[2]), 2 + 4 * 3);
    EXPECT_EQ(quartile_id(model, rows[3]), 3 + 4 * 3);
  }
}

TEST(Quartiles, InterpolateBetweenRanks) {
  const auto source = data::matrix_source(testing::matrix({1, 2, 3, 5}, 1));
  Machine machine(1);
  const QuartileModel model = fit_quartiles(*source, machine.execution, "edges");
  EXPECT_EQ(model.edges, std::vector<float>({1.75f, 2.5f, 3.5f}));
}

}  // namespace
}  // namespace phase0::models
