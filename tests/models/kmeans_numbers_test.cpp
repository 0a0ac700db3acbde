// k-means on rows at the edge of what float32 and sums over all rows can say.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/kmeans_cases.h"
#include "support/expect_error.h"

namespace phase0::models {
namespace {

using testing::blobs;
using testing::inertia_of;
using testing::Machine;
using testing::means_of_nearest;
using testing::task_for;

TEST(KMeansNumbers, FewerDistinctRowsThanClustersEnds) {
  std::vector<float> x(300, 1.0f);
  for (std::size_t i = 0; i < 100; ++i) x[i] = 2.0f;
  const auto source = data::matrix_source(testing::matrix(x, 1));
  Machine machine(2);
  const KMeansModel model = fit_kmeans(*source, task_for(5), machine.execution);
  EXPECT_EQ(model.inertia, 0.0);
  EXPECT_EQ(std::accumulate(model.counts.begin(), model.counts.end(), std::int64_t{0}), 300);
}

/// Around the mean of all rows, between the groups, float32 has no digits for those near zero.
TEST(KMeansNumbers, CentroidsOfFarGroupsAreTheMeansOfTheirRows) {
  std::vector<float> x = testing::normals(4000 * 4, 61);
  for (std::size_t e = x.size() / 2; e < x.size(); ++e) x[e] += 1e6F;
  const auto source = data::matrix_source(testing::matrix(x, 4));
  KMeansTask task = task_for(6);
  task.options.tol = 0;
  task.options.max_iter = 1000;
  Machine machine(2);
  const KMeansModel model = fit_kmeans(*source, task, machine.execution);
  ASSERT_EQ(model.history.back().stopped, "no_change");
  const std::vector<float> means = means_of_nearest(x, model);
  for (std::size_t e = 0; e < means.size(); ++e) EXPECT_FLOAT_EQ(model.centroids[e], means[e]);
}

/// 1000 rows of 16 values about 1, one of which has a value far away in column 3.
std::vector<float> rows_and_a_far_one(float far) {
  std::vector<float> x = testing::normals(1000 * 16, 44);
  x[7 * 16 + 3] = far;
  return x;
}

TEST(KMeansNumbers, AFarRowTakesNoDigitsFromTheOthers) {
  for (const float far : {1e6f, -1e8f, 1e10f}) {
    const std::vector<float> x = rows_and_a_far_one(far);
    const auto source = data::matrix_source(testing::matrix(x, 16));
    Machine machine(2);
    KMeansTask task = task_for(6);
    task.options.tol = 0;
    task.options.max_iter = 300;
    const KMeansModel model = fit_kmeans(*source, task, machine.execution);
    EXPECT_LT(model.n_iter, task.options.max_iter);
    const std::vector<float> means = means_of_nearest(x, model);
    for (std::size_t e = 0; e < means.size(); ++e) {
      EXPECT_NEAR(model.centroids[e], means[e], 1e-5 * std::max(1.0f, std::abs(means[e]))) << far << " " << e;
    }
    EXPECT_EQ(std::count(model.counts.begin(), model.counts.end(), 1), 1);
  }
}

TEST(KMeansNumbers, AFarRowGivesTheSameBitsWithinAnyBudget) {
  for (const std::int64_t d : {std::int64_t{5}, std::int64_t{24}}) {  // of either kind of bounds
    std::vector<float> x = testing::normals(40'000 * d, 46);
    x[static_cast<std::size_t>(11 * d + 2)] = 1e7f;
    const auto source = data::matrix_source(testing::matrix(x, d));
    for (const RestartsOn restarts_on : {RestartsOn::kAll, RestartsOn::kSample}) {
      const KMeansTask task = task_for(12, restarts_on, 2);
      Machine ample(1);
      const KMeansModel reference = fit_kmeans(*source, task, ample.execution);
      const auto minimum = plan_kmeans({source->shape()}, 12, task.options, 3, 0).minimum_bytes;
      ASSERT_FALSE(plan_kmeans({source->shape()}, 12, task.options, 3, minimum).restart_rows_kept);
      Machine small(3, core::MemoryBudget::kBaseBytes + minimum);
      const KMeansModel model = fit_kmeans(*source, task, small.execution);
      EXPECT_EQ(model.centroids, reference.centroids) << d;
      EXPECT_EQ(model.counts, reference.counts) << d;
      EXPECT_EQ(model.inertia, reference.inertia) << d;
    }
  }
}

TEST(KMeansNumbers, RefusesARowBesideWhichTheOthersVanish) {
  for (const float far : {1e14f, -1e18f}) {
    const auto source = data::matrix_source(testing::matrix(rows_and_a_far_one(far), 16));
    Machine machine(2);
    test::expect_error(ErrorKind::kData, fmt::format("test: the value {:g} in column 3 lies so far", far),
                       [&] { fit_kmeans(*source, task_for(6), machine.execution); });
  }
}

/// As silence is: equal, or apart by the last bit of one value.
TEST(KMeansNumbers, MostRowsBeingNearlyEqualIsNoFault) {
  for (const float apart : {0.0f, 0x1p-27f}) {
    std::vector<float> x = testing::normals(1000 * 4, 45);
    for (std::size_t r = 0; r < 1000; ++r) {
      if (r % 20 == 0) continue;
      std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(4 * r), 4, 0x1p-4f);
      if (r % 3 == 0) x[4 * r] += apart;
    }
    const auto source = data::matrix_source(testing::matrix(x, 4));
    Machine machine(2);
    const KMeansModel model = fit_kmeans(*source, task_for(5), machine.execution);
    std::vector<std::int64_t> counts;
    EXPECT_NEAR(model.inertia, inertia_of(x, model, &counts), 1e-9 * model.inertia);
    EXPECT_EQ(model.counts, counts);
  }
}

TEST(KMeansNumbers, ScalesByPowersOfTwoAreNothingToIt) {
  const std::vector<float> x = blobs(3000, 5, 7, 2.0);
  const auto fit = [&](float scale) {
    std::vector<float> scaled = x;
    for (float& value : scaled) value *= scale;
    const auto source = data::matrix_source(testing::matrix(scaled, 5));
    Machine machine(2);
    return fit_kmeans(*source, task_for(7), machine.execution);
  };
  const KMeansModel reference = fit(1.0f);
  for (const float scale : {0x1p44f, 0x1p-40f}) {
    const KMeansModel model = fit(scale);
    EXPECT_EQ(model.counts, reference.counts) << scale;
    EXPECT_EQ(model.n_iter, reference.n_iter) << scale;
    for (std::size_t e = 0; e < model.centroids.size(); ++e)
      EXPECT_EQ(model.centroids[e], reference.centroids[e] * scale);
  }
}

TEST(KMeansNumbers, DenormalRowsHaveTheirMeans) {
  std::vector<float> x = blobs(2000, 3, 4, 0.0);
  for (float& value : x) value *= 1e-40f;
  const auto source = data::matrix_source(testing::matrix(x, 3));
  Machine machine(2);
  KMeansTask task = task_for(4);
  task.options.tol = 0;
  task.options.max_iter = 300;
  const KMeansModel model = fit_kmeans(*source, task, machine.execution);
  std::vector<std::int64_t> counts;
  EXPECT_NEAR(model.inertia, inertia_of(x, model, &counts), 1e-9 * model.inertia);
  EXPECT_GT(model.inertia, 0.0);
  EXPECT_EQ(model.counts, counts);
  const std::vector<float> means = means_of_nearest(x, model);
  for (std::size_t e = 0; e < means.size(); ++e) EXPECT_NEAR(model.centroids[e], means[e], 1e-43);
}

TEST(KMeansNumbers, OneClusterIsTheMean) {
  const auto x = testing::normals(1000 * 3, 35, 2.0, -7.0);
  const auto source = data::matrix_source(testing::matrix(x, 3));
  Machine machine(2);
  const KMeansModel model = fit_kmeans(*source, task_for(1), machine.execution);
  for (std::int64_t j = 0; j < 3; ++j) {
    double sum = 0;
    for (std::int64_t r = 0; r < 1000; ++r)
      sum += static_cast<double>(x[static_cast<std::size_t>(3 * r + j)]);
    EXPECT_NEAR(model.centroids[static_cast<std::size_t>(j)], sum / 1000, 1e-6);
  }
}

}  // namespace
}  // namespace phase0::models
