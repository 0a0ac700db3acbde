#include "linalg/nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "emulated_kernels.h"
#include "linalg/kernels.h"
#include "normals.h"

namespace phase0::linalg {
namespace {

using testing::normals;

std::int32_t brute_force(const float* x, const float* centroids, std::int64_t k, std::int64_t d) {
  double best = std::numeric_limits<double>::infinity();
  std::int32_t label = 0;
  for (std::int64_t c = 0; c < k; ++c) {
    double distance = 0;
    for (std::int64_t j = 0; j < d; ++j) {
      const double difference = static_cast<double>(x[j]) - static_cast<double>(centroids[c * d + j]);
      distance += difference * difference;
    }
    if (distance < best) {
      best = distance;
      label = static_cast<std::int32_t>(c);
    }
  }
  return label;
}

void expect_exact(const Kernels& set, const std::vector<float>& x, const std::vector<float>& centroids,
                  std::int64_t d, const std::vector<float>& shift) {
  const std::int64_t n = std::ssize(x) / d;
  const std::int64_t k = std::ssize(centroids) / d;
  const NearestCentroids nearest(centroids, {k}, d, shift, set);
  NearestCentroids::Workspace workspace;
  nearest.assign(x.data(), n, workspace);
  for (std::int64_t r = 0; r < n; ++r) {
    const std::int32_t expected = brute_force(x.data() + r * d, centroids.data(), k, d);
    ASSERT_EQ(workspace.labels[r], expected) << "row " << r << " of " << n << ", k " << k << ", d " << d;
    const float* c = centroids.data() + expected * d;
    const double exact = kernels().squared_distance(x.data() + r * d, c, d);
    const double norm = kernels().squared_distance(x.data() + r * d, shift.data(), d);
    EXPECT_NEAR(workspace.squared[r], exact, 1e-4 * exact + 1e-3 * norm + 1e-43);
  }
}

/// Over what the machine has, and the products of avx512 and amx in emulation.
class AllKernels : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels* set_ = GetParam();
};

TEST_P(AllKernels, LabelsEqualFloat64BruteForce) {
  for (const std::int64_t d : {1, 3, 8, 17, 64, 130, 512}) {
    for (const std::int64_t k : {1, 2, 7, 8, 64, 257}) {
      const auto x = normals(300 * d, 1.0, 0.0, 1);
      const auto centroids = normals(k * d, 0.5, 0.0, 2);
      expect_exact(*set_, x, centroids, d, std::vector<float>(static_cast<std::size_t>(d), 0.0f));
    }
  }
}

TEST_P(AllKernels, RowsThatDoNotFillATile) {
  for (const std::int64_t n : {1, 2, 3, 5, 23, 25, 47, 49}) {
    const std::int64_t d = 33;
    expect_exact(*set_, normals(n * d, 1.0, 0.0, 31), normals(70 * d, 0.5, 0.0, 32), d,
                 std::vector<float>(static_cast<std::size_t>(d), 0.25f));
  }
}

TEST_P(AllKernels, LabelsAreExactWithAnOffsetThatDrownsTheRows) {
  const std::int64_t d = 24;  // float32 has steps of 8 at 1e8: rows and centroids are coarse and tie often
  expect_exact(*set_, normals(300 * d, 20.0, 1e8, 33), normals(40 * d, 20.0, 1e8, 34), d,
               std::vector<float>(static_cast<std::size_t>(d), 1e8f));
}

TEST_P(AllKernels, AProductThatOverflowsCertifiesNothing) {
  // The first centroid's product is inf - inf, yet the row is nearer to it than to the second.
  const std::vector<float> x = {3e38f, 3e38f};
  const std::vector<float> centroids = {2.0f, -2.0f, 0.0f, -3.0f};
  const NearestCentroids nearest(centroids, {2}, 2, std::vector<float>{0.0f, 0.0f}, *set_);
  NearestCentroids::Workspace workspace;
  nearest.assign(x.data(), 1, workspace);
  EXPECT_EQ(workspace.labels[0], 0);
  EXPECT_EQ(workspace.n_uncertain, 1);
}

TEST_P(AllKernels, FewRowsNeedTheExactDistance) {
  const std::int64_t d = 512;
  const auto x = normals(2000 * d, 1.0, 0.0, 35);
  const NearestCentroids nearest(normals(64 * d, 0.5, 0.0, 36), {64}, d,
                                 std::vector<float>(static_cast<std::size_t>(d), 0.0f), *set_);
  NearestCentroids::Workspace workspace;
  nearest.assign(x.data(), 2000, workspace);
  EXPECT_LT(workspace.n_uncertain, 20);
}

TEST_P(AllKernels, LabelsAreExactWithAHugeOffset) {
  for (const float shift : {0.0f, 10000.0f, 9999.0f}) {
    const std::int64_t d = 32;
    expect_exact(*set_, normals(500 * d, 1.0, 1e4, 3), normals(40 * d, 1.0, 1e4, 4), d,
                 std::vector<float>(static_cast<std::size_t>(d), shift));
  }
}

TEST_P(AllKernels, TiesGoToTheLowestId) {
  const std::int64_t d = 5;
  auto centroids = normals(20 * d, 1.0, 0.0, 5);
  for (std::int64_t c = 10; c < 20; ++c) {  // the second half repeats the first
    std::copy_n(centroids.begin() + (c - 10) * d, d, centroids.begin() + c * d);
  }
  expect_exact(*set_, normals(400 * d, 1.0, 0.0, 6), centroids, d, std::vector<float>(5, 0.1f));

  // Points of a lattice halfway between centroids of a lattice: many true ties between different centroids.
  std::vector<float> lattice;
  std::vector<float> corners;
  for (int i = 0; i < 64; ++i) {
    for (int j = 0; j < 3; ++j) lattice.push_back(static_cast<float>((i >> (2 * j)) & 3) * 0.5f);
  }
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 3; ++j) corners.push_back(static_cast<float>((i >> j) & 1));
  }
  expect_exact(*set_, lattice, corners, 3, {0.3f, 0.7f, 0.1f});
}

TEST_P(AllKernels, DenormalsAndLargeValues) {
  for (const double scale : {1e-40, 1e-22, 1e-10, 1e10, 1e15}) {
    const std::int64_t d = 24;
    expect_exact(*set_, normals(200 * d, scale, 0.0, 7), normals(9 * d, scale, 0.0, 8), d,
                 std::vector<float>(static_cast<std::size_t>(d), 0.0f));
  }
}

TEST_P(AllKernels, CentroidsWhoseSquaresUnderflowAreStillToldApart) {
  // |x| about 2^60 and centroids about 2^-80: the products are normal numbers, the squared norms are not, and
  // float64 distances are all the same. The nearest is the one with the largest product.
  const std::int64_t d = 2;
  const auto x = normals(500 * d, 0x1p60, 0.0, 21);
  const auto centroids = normals(5 * d, 0x1p-80, 0.0, 22);
  const NearestCentroids nearest(centroids, {5}, d, std::vector<float>{0.0f, 0.0f}, *set_);
  NearestCentroids::Workspace workspace;
  nearest.assign(x.data(), 500, workspace);
  for (std::int64_t r = 0; r < 500; ++r) {
    double products[5] = {};
    for (std::int64_t i = 0; i < 5 * d; ++i) {
      products[i / d] += static_cast<double>(x[static_cast<std::size_t>(r * d + i % d)]) *
                         static_cast<double>(centroids[static_cast<std::size_t>(i)]);
    }
    EXPECT_EQ(workspace.labels[r], std::max_element(products, products + 5) - products) << r;
  }
}

TEST_P(AllKernels, SeveralSetsGiveTheLabelsOfEachAlone) {
  const std::int64_t d = 16;
  const auto x = normals(100 * d, 1.0, 0.0, 9);
  const auto centroids = normals(30 * d, 1.0, 0.0, 10);
  const std::vector<float> shift(16, 0.0f);
  const NearestCentroids all(centroids, {10, 1, 19}, d, shift, *set_);
  NearestCentroids::Workspace workspace;
  all.assign(x.data(), 100, workspace);
  std::int64_t first = 0;
  for (std::int64_t set = 0; set < 3; ++set) {
    const std::int64_t k = set == 0 ? 10 : (set == 1 ? 1 : 19);
    for (std::int64_t r = 0; r < 100; ++r) {
      EXPECT_EQ(workspace.labels[set * 100 + r],
                brute_force(x.data() + r * d, centroids.data() + first * d, k, d));
    }
    first += k;
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, AllKernels, ::testing::ValuesIn(testing::all_kernels()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(CompareDistances, SeesDifferencesBelowDoublePrecision) {
  // x is nearer to a by about 1e-22 of the distance: both sums are the same number in float64.
  const float x[] = {0.0f, 1.0f};
  const float a[] = {0x1p-40f, 1e6f};
  const float b[] = {0x1.8p-40f, 1e6f};
  EXPECT_EQ(compare_distances(x, a, b, 2), -1);
  EXPECT_EQ(compare_distances(x, b, a, 2), 1);
  EXPECT_EQ(compare_distances(x, a, a, 2), 0);
  const std::vector<float> both = {0x1.8p-40f, 1e6f, 0x1p-40f, 1e6f};
  const NearestCentroids nearest(both, {2}, 2, std::vector<float>{0.0f, 0.0f});
  NearestCentroids::Workspace workspace;
  nearest.assign(x, 1, workspace);
  EXPECT_EQ(workspace.labels[0], 1);
}

}  // namespace
}  // namespace phase0::linalg
