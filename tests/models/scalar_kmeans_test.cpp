#include "models/scalar_kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/random.h"

namespace phase0::models {
namespace {

/// Squared distances to the nearest centroid.
double cost(const LinePoints& points, const std::vector<double>& centroids) {
  double sum = 0;
  for (std::size_t i = 0; i < points.values.size(); ++i) {
    double least = std::numeric_limits<double>::infinity();
    for (const double centroid : centroids) least = std::min(least, std::abs(points.values[i] - centroid));
    sum += points.weights[i] * least * least;
  }
  return sum;
}

/// Of points [begin, end) about their mean, term by term.
double run_cost(const LinePoints& points, std::size_t begin, std::size_t end) {
  double weight = 0;
  double mean = 0;
  for (std::size_t i = begin; i < end; ++i) weight += points.weights[i];
  for (std::size_t i = begin; i < end; ++i) mean += points.weights[i] / weight * points.values[i];
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += points.weights[i] * std::pow(points.values[i] - mean, 2);
  return sum;
}

/// The least cost there is, from all ends of all clusters.
double least_cost(const LinePoints& points, std::size_t k) {
  const std::size_t n = points.values.size();
  std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
  best[0] = 0;
  for (std::size_t layer = 0; layer < k; ++layer) {
    std::vector<double> next(n + 1, std::numeric_limits<double>::infinity());
    next[0] = 0;
    for (std::size_t end = 1; end <= n; ++end) {
      for (std::size_t begin = 0; begin < end; ++begin) {
        next[end] = std::min(next[end], best[begin] + run_cost(points, begin, end));
      }
    }
    best = next;
  }
  return best[n];
}

LinePoints random_points(std::int64_t n, std::uint64_t seed, double offset, double step) {
  core::Random random(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < n; ++i) {
    const double value = random.normal() + (random.below(3) == 0 ? 6 : 0);
    values.push_back(static_cast<float>(offset + step * std::round(value / step)));
  }
  return line_points(values, n);
}

TEST(ScalarKMeans, FindsTheLeastCost) {
  for (const std::int64_t n : {1, 2, 3, 7, 40}) {
    for (const double step : {0.001, 0.5}) {  // hardly a value twice, and most of them
      const LinePoints points = random_points(n, static_cast<std::uint64_t>(n), 0, step);
      for (std::int64_t k = 1; k <= 17; ++k) {
        const std::vector<double> centroids = scalar_kmeans(points, k);
        EXPECT_EQ(std::ssize(centroids), std::min(k, points.size()));
        EXPECT_TRUE(std::is_sorted(centroids.begin(), centroids.end()));
        const double least = least_cost(points, static_cast<std::size_t>(k));
        EXPECT_NEAR(cost(points, centroids), least, 1e-9 * (1 + least)) << n << " points, k " << k;
      }
    }
  }
}

TEST(ScalarKMeans, FarFromZeroItIsAsExact) {
  const LinePoints near = random_points(60, 5, 0, 1.0 / 64);
  LinePoints far = near;
  for (double& value : far.values) value += 1e9;
  const std::vector<double> expected = scalar_kmeans(near, 5);
  const std::vector<double> centroids = scalar_kmeans(far, 5);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(centroids[i] - 1e9, expected[i], 1e-6);
}

TEST(ScalarKMeans, WeightsCountAsRepeatedPoints) {
  std::vector<float> repeated = {1, 1, 1, 1, 2, 4, 4, 9};
  const LinePoints points = line_points(repeated, 8);
  EXPECT_EQ(points.values, (std::vector<double>{1, 2, 4, 9}));
  EXPECT_EQ(points.weights, (std::vector<double>{4, 1, 2, 1}));
  const std::vector<double> centroids = scalar_kmeans(points, 3);
  ASSERT_EQ(centroids.size(), 3U);
  EXPECT_NEAR(centroids[0], 1.2, 1e-12);
  EXPECT_NEAR(centroids[1], 4, 1e-12);
  EXPECT_NEAR(centroids[2], 9, 1e-12);
}

TEST(ScalarKMeans, TooManyPointsArePutTogether) {
  std::vector<float> values;
  for (int i = 0; i < 1000; ++i) values.push_back(static_cast<float>((i * 7919) % 1000));
  const LinePoints points = line_points(values, 300);
  EXPECT_EQ(points.size(), 250);
  EXPECT_EQ(points.values.front(), 1.5);
  EXPECT_EQ(points.values.back(), 997.5);
  EXPECT_EQ(points.weights.back(), 4);
}

TEST(ScalarKMeans, ManyPointsAreEvenlyDivided) {
  std::vector<float> values;
  for (int i = 0; i < 4096; ++i) values.push_back(static_cast<float>(i));
  const std::vector<double> centroids = scalar_kmeans(line_points(values, 4096), 16);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(centroids[i], 127.5 + 256 * static_cast<double>(i));
}

}  // namespace
}  // namespace phase0::models
