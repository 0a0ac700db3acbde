#include <gtest/gtest.h>

#include "models/pca_reference.h"
#include "models/sources.h"
#include "store/file_system.h"
#include "support/memory_units.h"

namespace phase0::models {
namespace {

using testing::Machine;

constexpr std::int64_t kRoomy = std::int64_t{8} << 30;

/// Frames wide enough for the products by spectra, and narrower ones that go difference by difference.
class PcaResume
    : public ::testing::TestWithParam<std::tuple<std::int64_t, PcaMethod, std::int64_t, std::int64_t>> {
 protected:
  static constexpr std::int64_t kComponents = 3;

  PcaTask task() const {
    PcaTask task = testing::whole_rows(source_->shape(), kComponents, std::get<1>(GetParam()));
    task.progress = {"PCA", "key"};
    return task;
  }
  std::int64_t least() const { return plan_pca(source_->shape(), task(), {2, 0}).minimum_bytes; }
  PcaModel fit(test::MemoryUnits* units, std::int64_t free_bytes, int threads = 2) const {
    Machine machine(threads, core::MemoryBudget::kBaseBytes + free_bytes);
    machine.execution.units = units;
    return fit_pca(*source_, task(), machine.execution)[0];
  }
  /// A fit that is killed after `saves` saves; whether it came to that.
  bool killed(test::MemoryUnits& units, int saves, std::int64_t free_bytes) const {
    units.saves_left = saves;
    try {
      fit(&units, free_bytes);
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInterrupted);
      units.saves_left = -1;
      return true;
    }
  }
  static void expect_same(const PcaModel& a, const PcaModel& b) {
    EXPECT_EQ(a.components, b.components);
    EXPECT_EQ(a.explained_variance, b.explained_variance);
    EXPECT_EQ(a.explained_variance_ratio, b.explained_variance_ratio);
    EXPECT_EQ(a.mean, b.mean);
    EXPECT_EQ(a.n_samples, b.n_samples);
  }

  std::int64_t n_frames_ = std::get<2>(GetParam());
  std::int64_t columns_ = std::get<0>(GetParam());
  std::int64_t window_ = std::get<3>(GetParam());
  std::vector<float> frames_ = testing::persistent_frames(n_frames_, columns_, 0.5);
  data::SampleIndex index_ = testing::index_of({n_frames_ / 2, 30, n_frames_ / 2 - 30}, window_);
  data::FrameMatrix matrix_{testing::matrix(frames_, columns_)};
  std::unique_ptr<data::FeatureSource> source_ = data::flat_source(matrix_, index_, window_, 1);
};

TEST_P(PcaResume, AKilledFitGoesOnToTheSameBits) {
  const PcaModel reference = fit(nullptr, kRoomy);
  for (const std::int64_t free_bytes : {kRoomy, least()}) {
    int n_kills = 0;
    for (int saves = 1; saves < 100; ++saves, ++n_kills) {
      test::MemoryUnits units;
      if (!killed(units, saves, free_bytes)) break;
      expect_same(fit(&units, free_bytes, saves % 3 + 1), reference);
      EXPECT_EQ(units.n_loaded, 1);
    }
    EXPECT_GE(n_kills, free_bytes == kRoomy ? 1 : 2);
  }
}

TEST_P(PcaResume, WhatAnotherBudgetKeptIsNotMistaken) {
  const PcaModel reference = fit(nullptr, kRoomy);
  test::MemoryUnits units;
  ASSERT_TRUE(killed(units, 1, kRoomy));
  expect_same(fit(&units, least()), reference);
}

/// The first numbers of what is kept: scan, block, and by method and part counts of what is collected.
TEST_P(PcaResume, ForgedProgressIsRefusedOrHarmless) {
  const bool exact = std::get<1>(GetParam()) == PcaMethod::kCovariance;
  const std::int64_t k = fit(nullptr, kRoomy).k;
  for (const std::size_t at : {0U, 8U, 16U, 24U, 33U, 34U, 41U, 42U, 49U, 50U}) {
    SCOPED_TRACE(at);
    if (!exact && at > 32) break;  // values
    for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{1} << 33}) {
      test::MemoryUnits units;
      ASSERT_TRUE(killed(units, 1, kRoomy));
      units.forge("PCA", at, value);
      try {
        EXPECT_EQ(fit(&units, kRoomy).k, k);
      } catch (const Error& error) {
        EXPECT_NE(error.kind(), ErrorKind::kInternal);
      }
      if (at <= 8) {
        EXPECT_EQ(units.n_refused, 1);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, PcaResume,
                         ::testing::Values(std::tuple(80, PcaMethod::kCovariance, 9000, 6),
                                           std::tuple(16, PcaMethod::kCovariance, 20000, 6),
                                           std::tuple(512, PcaMethod::kIncrementalSvd, 1100, 1)));

}  // namespace
}  // namespace phase0::models
