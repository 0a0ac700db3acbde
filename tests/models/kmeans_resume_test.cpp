#include <gtest/gtest.h>

#include "models/kmeans.h"
#include "models/sources.h"
#include "support/memory_units.h"

namespace phase0::models {
namespace {

using testing::Machine;

constexpr std::int64_t kRoomy = std::int64_t{4} << 30;

/// Columns few and many; restarts on all rows, and on a sample with a race behind them.
class KMeansResume : public ::testing::TestWithParam<std::tuple<std::int64_t, RestartsOn>> {
 protected:
  static constexpr std::int64_t kClusters = 7;

  std::int64_t n_rows() const { return std::get<1>(GetParam()) == RestartsOn::kAll ? 3000 : 20'000; }
  KMeansTask task() const {
    KMeansTask task;
    task.k = kClusters;
    task.options.n_init = 4;
    task.options.max_iter = 25;
    task.options.tol = 0;
    task.options.restarts_on = std::get<1>(GetParam());
    task.seed = 3;
    task.scratch_folder = testing::scratch_folder();
    task.label = "test";
    task.progress = {"k-means", "key"};
    return task;
  }
  KMeansModel fit(test::MemoryUnits* units, std::int64_t budget_bytes, int threads) const {
    Observer nobody;
    return fit(units, budget_bytes, threads, nobody);
  }
  KMeansModel fit(test::MemoryUnits* units, std::int64_t budget_bytes, int threads,
                  Observer& observer) const {
    Machine machine(threads, budget_bytes);
    core::Execution execution{machine.pool, machine.memory, observer};
    execution.units = units;
    return fit_kmeans(*source_, task(), execution);
  }
  /// Where no more than one run goes at a time.
  std::int64_t least() const {
    const KMeansPlan plan = plan_kmeans({source_->shape()}, kClusters, task().options, 1, 0);
    EXPECT_EQ(plan.restarts_together, 1);
    return core::MemoryBudget::kBaseBytes + plan.minimum_bytes;
  }
  static void expect_same(const KMeansModel& a, const KMeansModel& b) {
    EXPECT_EQ(a.centroids, b.centroids);
    EXPECT_EQ(a.counts, b.counts);
    EXPECT_EQ(a.inertia, b.inertia);
    EXPECT_EQ(a.n_iter, b.n_iter);
    EXPECT_EQ(a.n_used, b.n_used);
    EXPECT_EQ(a.sample_rows, b.sample_rows);
    ASSERT_EQ(a.history.size(), b.history.size());
    for (std::size_t i = 0; i < a.history.size(); ++i) {
      EXPECT_EQ(a.history[i].phase, b.history[i].phase) << i;
      EXPECT_EQ(a.history[i].restart, b.history[i].restart) << i;
      EXPECT_EQ(a.history[i].iteration, b.history[i].iteration) << i;
      EXPECT_EQ(a.history[i].inertia, b.history[i].inertia) << i;
      EXPECT_EQ(a.history[i].shift, b.history[i].shift) << i;
      EXPECT_EQ(a.history[i].n_reseeded, b.history[i].n_reseeded) << i;
      EXPECT_EQ(a.history[i].stopped, b.history[i].stopped) << i;
      EXPECT_EQ(a.history[i].best, b.history[i].best) << i;
    }
  }

  std::int64_t d_ = std::get<0>(GetParam());
  std::unique_ptr<data::FeatureSource> source_ =
      data::matrix_source(testing::matrix(testing::normals(n_rows() * d_, 5), d_));
};

TEST_P(KMeansResume, AKilledFitGoesOnToTheSameBits) {
  const KMeansModel reference = fit(nullptr, kRoomy, 1);
  int n_kills = 0;
  for (int saves = 1;; saves += 1 + saves / 3, ++n_kills) {
    test::MemoryUnits units;
    units.saves_left = saves;
    // The budgets before and after the kill differ, so that other runs share scans.
    const bool roomy_first = n_kills % 2 == 0;
    try {
      fit(&units, roomy_first ? kRoomy : least(), 2);
      break;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kInterrupted);
    }
    expect_same(fit(&units, roomy_first ? least() : kRoomy, 1 + n_kills % 3), reference);
    EXPECT_EQ(units.n_loaded, 1) << saves;
  }
  EXPECT_GE(n_kills, 5);
}

/// Centroids that are chosen while it listens.
struct SeedingListener final : Observer {
  void task_begin(std::string_view name, std::int64_t) override { seeds = name.ends_with("seeding"); }
  void task_advance(std::int64_t units, std::int64_t bytes) override {
    if (seeds && bytes > 0) n_chosen += units;
  }
  bool seeds = false;
  std::int64_t n_chosen = 0;
};

TEST_P(KMeansResume, AKilledSeedingGoesOnBehindItsLastCentroid) {
  const KMeansModel reference = fit(nullptr, kRoomy, 1);
  for (int saves = 1; saves <= kClusters; ++saves) {
    test::MemoryUnits units;
    units.saves_left = saves;
    EXPECT_THROW(fit(&units, kRoomy, 2), Error);
    SeedingListener listener;
    expect_same(fit(&units, kRoomy, 1, listener), reference);
    EXPECT_EQ(listener.n_chosen, kClusters - saves);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, KMeansResume,
                         ::testing::Values(std::tuple(3, RestartsOn::kAll), std::tuple(24, RestartsOn::kAll),
                                           std::tuple(24, RestartsOn::kSample)));

}  // namespace
}  // namespace phase0::models
