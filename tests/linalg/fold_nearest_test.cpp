#include "linalg/fold_nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "emulated_kernels.h"
#include "normals.h"

namespace phase0::linalg {
namespace {

using testing::normals;
using Keep = FoldNearest::Keep;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class FoldNearestOn : public ::testing::TestWithParam<const Kernels*> {};
INSTANTIATE_TEST_SUITE_P(Sets, FoldNearestOn, ::testing::ValuesIn(testing::all_kernels()),
                         [](const auto& info) { return std::string(info.param->name); });

/// Squared distance in float64, and how far float32 of values less the shift may lie from it.
struct Exact {
  double squared = 0, tolerance = 0;
};
Exact exact_distance(const float* x, const float* point, const std::vector<float>& shift) {
  Exact exact;
  double size = 0;
  for (std::size_t j = 0; j < shift.size(); ++j) {
    const double to = static_cast<double>(x[j]) - static_cast<double>(shift[j]);
    const double from = static_cast<double>(point[j]) - static_cast<double>(shift[j]);
    exact.squared += (to - from) * (to - from);
    size += to * to + from * from;
  }
  exact.tolerance = static_cast<double>(std::ssize(shift) + 16) * 0x1p-23 * size;
  return exact;
}

TEST_P(FoldNearestOn, SumsAndKeepsTheLesserDistance) {
  for (const std::int64_t d : {1, 3, 8, 31, 64, 130, 513}) {
    for (const std::int64_t n : {1, 5, 24, 47, 48, 100}) {
      for (const double offset : {0.0, 1e5}) {
        const std::int64_t n_sets = 3;
        const std::vector<float> x = normals(n * d, 1.0, offset, 1);
        const std::vector<float> shift(static_cast<std::size_t>(d), static_cast<float>(offset));
        std::vector<float> before = normals(n_sets * n, 1.0, 0.0, 2);
        for (float& value : before) value = value * value * static_cast<float>(d) * 2.0f;
        for (std::size_t i = 0; i < before.size(); i += 4) before[i] = i % 8 == 0 ? kInfinity : 0.0f;
        for (const std::int64_t per_set : {1, 2, 7}) {
          const std::vector<float> points = normals(n_sets * per_set * d, 1.0, offset, 3);
          const FoldNearest fold(points, n_sets, shift, *GetParam());
          FoldNearest::Workspace workspace;
          std::vector<double> sums(static_cast<std::size_t>(n_sets * per_set), -1.0);
          std::vector<float> nearest = before;
          fold.fold(x.data(), n, nearest.data(), Keep::kNone, workspace, sums.data());
          EXPECT_EQ(nearest, before);
          std::vector<double> kept_sums(sums.size(), -1.0);
          if (per_set == 1) {
            fold.fold(x.data(), n, nearest.data(), Keep::kLeast, workspace, kept_sums.data());
            EXPECT_EQ(kept_sums, sums);
          }
          for (std::int64_t p = 0; p < std::ssize(sums); ++p) {
            double sum = 0;
            double tolerance = 0;
            for (std::int64_t r = 0; r < n; ++r) {
              const auto at = static_cast<std::size_t>(p / per_set * n + r);
              const Exact exact = exact_distance(x.data() + r * d, points.data() + p * d, shift);
              const double least = std::min(exact.squared, static_cast<double>(before[at]));
              sum += least;
              tolerance += exact.tolerance + least * 0x1p-20;
              if (per_set == 1) {
                EXPECT_NEAR(nearest[at], least, exact.tolerance);
                EXPECT_LE(nearest[at], before[at]);
              }
            }
            EXPECT_NEAR(sums[static_cast<std::size_t>(p)], sum, tolerance) << "d " << d << " n " << n;
          }
        }
      }
    }
  }
}

TEST_P(FoldNearestOn, RowsOnAPointAreAtNoDistance) {
  const std::int64_t d = 8;
  const std::int64_t n = 50;
  std::vector<float> x;  // small integers: every distance is exact
  for (std::int64_t i = 0; i < n * d; ++i) x.push_back(static_cast<float>(i * 7 % 5));
  const std::vector<float> twice(x.begin(), x.begin() + d);
  std::vector<float> points = twice;
  points.insert(points.end(), twice.begin(), twice.end());
  const FoldNearest fold(points, 1, std::vector<float>(d, 0.0f), *GetParam());
  FoldNearest::Workspace workspace;
  std::vector<float> nearest(n, kInfinity);
  double sums[2];
  fold.fold(x.data(), n, nearest.data(), Keep::kNone, workspace, sums);
  double expected = 0;
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t j = 0; j < d; ++j) {
      const double by =
          static_cast<double>(x[static_cast<std::size_t>(r * d + j)] - x[static_cast<std::size_t>(j)]);
      expected += by * by;
    }
  }
  EXPECT_EQ(sums[0], expected);
  EXPECT_EQ(sums[1], expected);
  const FoldNearest one(twice, 1, std::vector<float>(d, 0.0f), *GetParam());
  one.fold(x.data(), n, nearest.data(), Keep::kLeast, workspace, sums);
  EXPECT_EQ(nearest[0], 0.0f);
  EXPECT_EQ(nearest[5], 0.0f);  // the rows repeat after five
}

TEST_P(FoldNearestOn, ManagesTheEndsOfTheRange) {
  for (const double scale : {1e-30, 1e15, 1e25}) {
    const std::int64_t d = 5;
    const std::vector<float> x = normals(30 * d, scale, 0.0, 5);
    const FoldNearest fold(normals(4 * d, scale, 0.0, 6), 2, std::vector<float>(d, 0.0f), *GetParam());
    FoldNearest::Workspace workspace;
    std::vector<float> nearest(60, 1.0f);
    double sums[4];
    fold.fold(x.data(), 30, nearest.data(), Keep::kNone, workspace, sums);
    for (const double sum : sums) {
      EXPECT_GE(sum, 0.0);
      EXPECT_LE(sum, 30.0);
    }
  }
}

}  // namespace
}  // namespace phase0::linalg
