// The products behind NearestCentroids by themselves: their errors against their bounds, candidates against
// scores.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/random.h"
#include "emulated_kernels.h"

namespace phase0::linalg {
namespace {

std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// What a product says of one tile of rows.
struct Answer {
  alignas(64) float score[kMostTileRows];
  alignas(64) std::int32_t column[kMostTileRows];
  alignas(64) std::int32_t n_within[kMostTileRows];
  alignas(64) float second[kMostTileRows];
};

Answer run(const NearestKernel& product, const std::vector<float>& x, const std::vector<float>& centroids,
           const std::vector<float>& norms, std::int64_t d, float gap_width) {
  const std::int64_t k = std::ssize(norms);
  const std::int64_t padded = round_up(k, product.centroid_group);
  const std::int64_t padded_d = round_up(d, product.feature_group);
  core::AlignedBuffer<float> packed(padded * padded_d);
  core::AlignedBuffer<float> tile(product.tile_rows * padded_d);
  core::AlignedBuffer<float> padded_norms(padded);
  padded_norms.fill(std::numeric_limits<float>::infinity());
  std::copy(norms.begin(), norms.end(), padded_norms.data());
  const std::vector<float> zeros(static_cast<std::size_t>(d), 0.0f);
  alignas(64) float gap[kMostTileRows];
  alignas(64) float row_norms[kMostTileRows];
  std::fill(std::begin(gap), std::end(gap), gap_width);
  product.pack_centroids(centroids.data(), k, d, packed.data());
  product.pack_rows(x.data(), zeros.data(), std::ssize(x) / d, d, tile.data(), row_norms);
  Answer answer;
  product.nearest(tile.data(), packed.data(), padded_norms.data(), padded, d, gap, answer.score,
                  answer.column, answer.n_within, answer.second, Prefetch{});
  return answer;
}

/// Products of rows x with one centroid: the largest error in units of product_error |x||c|.
double worst_error(const NearestKernel& product, std::int64_t d, const std::function<float()>& draw) {
  double worst = 0;
  for (int repeat = 0; repeat < 10; ++repeat) {
    std::vector<float> x(static_cast<std::size_t>(product.tile_rows * d));
    std::vector<float> c(static_cast<std::size_t>(d));
    for (float& value : x) value = draw();
    for (float& value : c) value = draw();
    const Answer answer = run(product, x, c, {0.0f}, d, 0.0f);
    for (std::int64_t r = 0; r < product.tile_rows; ++r) {
      long double exact = 0;
      double x_norm = 0;
      double c_norm = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        const double a = x[static_cast<std::size_t>(r * d + j)];
        const double b = c[static_cast<std::size_t>(j)];
        exact += static_cast<long double>(a) * static_cast<long double>(b);
        x_norm += a * a;
        c_norm += b * b;
      }
      const double error =
          std::abs(static_cast<double>(-0.5L * static_cast<long double>(answer.score[r]) - exact));
      worst = std::max(worst, error / (product.product_error(d) * std::sqrt(x_norm * c_norm)));
    }
  }
  return worst;
}

TEST(NearestKernel, ErrorsStayWithinTheBoundAndComeNearIt) {
  core::Random random(41);
  const auto normal = [&] { return static_cast<float>(random.normal()); };
  const auto positive = [&] { return static_cast<float>(1.0 + random.uniform()); };
  // Just below halfway between two bf16 values, and so is what is left of it: the largest errors of
  // splitting.
  const auto halfway = [&] { return 0x1.00ff7ep0f; };
  const auto spread = [&] {
    return static_cast<float>(random.normal() * std::exp2(40.0 * random.uniform() - 20.0));
  };
  for (const Kernels* table : testing::all_kernels()) {
    for (const std::int64_t d : {1, 5, 31, 64, 129, 512, 1000}) {
      for (const NearestKernel* product : {&table->narrow, &table->wide}) {
        EXPECT_LE(worst_error(*product, d, normal), 1.0) << table->name << " " << d;
        EXPECT_LE(worst_error(*product, d, positive), 1.0) << table->name << " " << d;
        EXPECT_LE(worst_error(*product, d, halfway), 1.0) << table->name << " " << d;
        EXPECT_LE(worst_error(*product, d, spread), 1.0) << table->name << " " << d;
      }
    }
    // A bound far above every error would pass the above for nothing.
    EXPECT_GE(worst_error(table->wide, 512, positive), 0.002) << table->name;
  }
  EXPECT_GE(worst_error(testing::amx_emulated_kernels().wide, 8, halfway), 0.5);
}

TEST(NearestKernel, CandidatesAreTheScoresWithinTheGap) {
  core::Random random(42);
  const std::int64_t d = 2;
  for (const Kernels* table : testing::all_kernels()) {
    for (const std::int64_t k : {1, 2, 9, 63, 64, 65, 200}) {
      for (const float gap : {0.0f, 8.0f, 60.0f}) {
        // Small integers: every score is exact.
        std::vector<float> x(static_cast<std::size_t>(table->narrow.tile_rows * d));
        std::vector<float> c(static_cast<std::size_t>(k * d));
        std::vector<float> norms(static_cast<std::size_t>(k));
        for (float& value : x) value = static_cast<float>(random.below(41)) - 20.0f;
        for (float& value : c) value = static_cast<float>(random.below(41)) - 20.0f;
        for (std::size_t i = 0; i < norms.size(); ++i)
          norms[i] = c[2 * i] * c[2 * i] + c[2 * i + 1] * c[2 * i + 1];
        const Answer answer = run(table->narrow, x, c, norms, d, gap);
        for (std::size_t r = 0; r < x.size() / 2; ++r) {
          std::vector<float> scores;
          for (std::size_t i = 0; i < norms.size(); ++i) {
            scores.push_back(norms[i] - 2.0f * (x[2 * r] * c[2 * i] + x[2 * r + 1] * c[2 * i + 1]));
          }
          const float least = *std::min_element(scores.begin(), scores.end());
          const auto within =
              std::count_if(scores.begin(), scores.end(), [&](float s) { return s <= least + gap; });
          EXPECT_EQ(answer.score[r], least);
          EXPECT_GE(answer.n_within[r], within);
          if (k <= 64) {
            EXPECT_EQ(answer.n_within[r], within) << table->name;
          }
          if (answer.n_within[r] == 1) {
            EXPECT_EQ(scores[static_cast<std::size_t>(answer.column[r])], least);
            scores.push_back(std::numeric_limits<float>::infinity());  // of no centroid, when there is one
            std::partial_sort(scores.begin(), scores.begin() + 2, scores.end());
            EXPECT_EQ(answer.second[r], scores[1]);
          }
        }
      }
    }
  }
}

TEST(NearestKernel, NoCandidatesWithoutAGap) {
  for (const Kernels* table : testing::all_kernels()) {
    const Answer answer = run(table->narrow, {1.0f, 2.0f}, {1.0f, 2.0f, 0.0f, 0.0f}, {5.0f, 0.0f}, 2,
                              std::numeric_limits<float>::quiet_NaN());
    EXPECT_EQ(answer.n_within[0], 0) << table->name;
  }
}

}  // namespace
}  // namespace phase0::linalg
