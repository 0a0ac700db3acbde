#include <gtest/gtest.h>

#include <map>

#include "models/kmeans_cases.h"
#include "support/memory_units.h"
#include "support/sanitizers.h"

namespace phase0::models {
namespace {

using testing::Machine;

constexpr std::int64_t kRoomy = std::int64_t{4} << 30;
constexpr std::int64_t kClusters = 5;
constexpr std::int64_t kDim = 160;  // a copy of all rows takes more memory than fits that go together

/// Rows all over a plane in a space of kDim dimensions: k-means takes many iterations, in which most rows
/// stay.
std::vector<float> plane(std::int64_t n) {
  const std::vector<float> axes = testing::normals(2 * kDim, 41);
  const std::vector<float> at = testing::normals(2 * n, 42);
  std::vector<float> x;
  for (std::size_t r = 0; r < at.size(); r += 2) {
    for (std::size_t j = 0; j < axes.size(); j += 2) x.push_back(at[r] * axes[j] + at[r + 1] * axes[j + 1]);
  }
  return x;
}

/// Fits of the means of some lags: restarts on a sample, refined on all rows; or restarts on all rows, too
/// many to be copied first.
class KMeansLanes : public ::testing::TestWithParam<RestartsOn> {
 protected:
  static constexpr std::int64_t kWindow = 2;
  const std::vector<std::int64_t> lags_ = {1, 2, 6};

  KMeansFit fit_of(std::int64_t lag) const {
    KMeansTask task = testing::task_for(kClusters, GetParam());
    task.options.tol = on_all() ? 4e-3 : 1e-5;
    task.options.max_iter = on_all() ? 16 : 28;
    task.options.n_init = 2;
    task.seed = static_cast<std::uint64_t>(lag);  // runs that end at different times
    task.label = "lag " + std::to_string(lag);
    task.progress = {task.label, "key"};
    return {*sources_.at(static_cast<std::size_t>(lag)), task};
  }

  /// Ends the computation as a kill would when so many fits have ended.
  static constexpr std::size_t kNever = 100;
  std::vector<KMeansModel> fit(const std::vector<std::int64_t>& lags, std::int64_t budget_bytes, int threads,
                               core::UnitStore* units = nullptr, bool read_ahead = false,
                               std::size_t killed_at = kNever) const {
    Machine machine(threads, budget_bytes);
    machine.execution.units = units;
    if (read_ahead) machine.execution.page_cache_bytes = 0;
    std::vector<KMeansFit> fits;
    for (const std::int64_t lag : lags) fits.push_back(fit_of(lag));
    const KMeansJoin join{.shapes = shapes(),
                          .rows =
                              [&](KMeansFits numbers) {
                                std::vector<std::int64_t> joined;
                                for (const std::int64_t n : numbers)
                                  joined.push_back(lags.at(static_cast<std::size_t>(n)));
                                return data::means_source(frames_, index_, kWindow, joined);
                              },
                          .label = [](KMeansFits) { return "lags"; }};
    std::vector<KMeansModel> models;
    fit_kmeans(fits, join, machine.execution, [&](std::int64_t number, KMeansModel model) {
      EXPECT_EQ(number, std::ssize(models));
      models.push_back(std::move(model));
      if (models.size() == killed_at) throw Error(ErrorKind::kInterrupted, "killed");
    });
    return models;
  }
  /// The model of each lag by itself.
  const std::vector<KMeansModel>& alone() const {
    static std::map<RestartsOn, std::vector<KMeansModel>> models;
    std::vector<KMeansModel>& of_lags = models[GetParam()];
    if (of_lags.empty()) {
      Machine machine(2);
      for (const std::int64_t lag : lags_) {
        const KMeansFit fit = fit_of(lag);
        of_lags.push_back(fit_kmeans(fit.rows, fit.task, machine.execution));
      }
    }
    return of_lags;
  }

  /// Of one lag, and bounds of any two and three.
  std::vector<data::SourceShape> shapes() const {
    std::vector<data::SourceShape> shapes;
    for (const std::vector<std::int64_t>& some :
         std::vector<std::vector<std::int64_t>>{{1}, {1, 6}, {1, 6, 6}}) {
      shapes.push_back(data::means_shape(index_, kWindow, some, kDim, frames_.row_bytes()));
    }
    return shapes;
  }
  KMeansPlan plan(int threads, std::int64_t free_bytes) const {
    return plan_kmeans(shapes(), kClusters, fit_of(1).task.options, threads, free_bytes);
  }
  /// The largest budget for which `threads` threads have no copy of all rows in memory.
  std::int64_t without_copy(int threads) const {
    std::int64_t free_bytes = plan(threads, kRoomy).planned_bytes;
    while (plan(threads, free_bytes).reads_rows_once()) free_bytes -= free_bytes / 64;
    return free_bytes;
  }
  /// The least for which so many fits go together.
  std::int64_t together(int threads, std::int64_t fits) const {
    std::int64_t free_bytes = without_copy(threads);
    EXPECT_GE(plan(threads, free_bytes).fits_together, fits);
    while (plan(threads, free_bytes - free_bytes / 64).fits_together >= fits) free_bytes -= free_bytes / 64;
    return free_bytes;
  }

  static void expect_same(const KMeansModel& a, const KMeansModel& b) {
    EXPECT_EQ(a.centroids, b.centroids);
    EXPECT_EQ(a.counts, b.counts);
    EXPECT_EQ(a.inertia, b.inertia);
    EXPECT_EQ(a.n_iter, b.n_iter);
    ASSERT_EQ(a.history.size(), b.history.size());
    for (std::size_t i = 0; i < a.history.size(); ++i) {
      EXPECT_EQ(a.history[i].inertia, b.history[i].inertia) << i;
      EXPECT_EQ(a.history[i].shift, b.history[i].shift) << i;
      EXPECT_EQ(a.history[i].stopped, b.history[i].stopped) << i;
    }
  }

  bool on_all() const { return GetParam() == RestartsOn::kAll; }
  data::SampleIndex index_ =
      testing::index_of({19'000, 40, 8200, on_all() ? 39'000 : 13'000, 8}, kWindow - 1 + 6);
  data::FrameMatrix frames_{testing::matrix(plane(on_all() ? 66'248 : 40'248), kDim)};
  std::vector<std::unique_ptr<data::FeatureSource>> sources_ = [this] {
    std::vector<std::unique_ptr<data::FeatureSource>> sources;
    for (std::int64_t lag = 0; lag <= 6; ++lag) {
      sources.push_back(data::means_source(frames_, index_, kWindow, {lag}));
    }
    return sources;
  }();
};

TEST_P(KMeansLanes, EachHasTheBitsThatItHasAlone) {
  EXPECT_NE(alone()[0].n_iter, alone()[1].n_iter);
  EXPECT_EQ(plan(2, together(2, 3)).restarts_share_scans, on_all());
  EXPECT_GT(alone()[0].n_iter, on_all() ? 3 : kRaceIterations);
  struct Way {
    int threads;
    std::int64_t free_bytes;
    bool read_ahead;
  };
  for (const Way& way :
       {Way{2, together(2, 2), true}, Way{2, together(2, 3), false}, Way{1, together(1, 3), true}}) {
    if (test::kSanitized && !way.read_ahead) continue;
    const auto models =
        fit(lags_, core::MemoryBudget::kBaseBytes + way.free_bytes, way.threads, nullptr, way.read_ahead);
    ASSERT_EQ(models.size(), 3u);
    for (std::size_t i = 0; i < models.size(); ++i) {
      SCOPED_TRACE(::testing::Message()
                   << way.threads << " threads, " << way.free_bytes << " bytes, fit " << i);
      expect_same(models[i], alone()[i]);
    }
  }
}

TEST_P(KMeansLanes, AKilledFitGoesOnInAnyCompany) {
  const std::int64_t base = core::MemoryBudget::kBaseBytes;
  int n_kills = 0;
  constexpr int kStep = test::kSanitized ? 25 : 5;
  for (int saves = 2;; saves = kStep * saves, ++n_kills) {
    test::MemoryUnits units;
    units.saves_left = saves;
    try {
      fit(lags_, base + together(2, 3), 2, &units);
      break;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kInterrupted);
    }
    // First one lag by itself, then the others together.
    SCOPED_TRACE(saves);
    expect_same(fit({2}, base + together(2, 2), 1, &units)[0], alone()[1]);
    const auto models =
        fit({6, 1}, base + (n_kills % 2 == 0 ? together(2, 2) : plan(1, 0).minimum_bytes), 2, &units);
    expect_same(models[0], alone()[2]);
    expect_same(models[1], alone()[0]);
  }
  EXPECT_GE(n_kills, test::kSanitized ? 1 : 2);
}

/// The callers drop it, once their models are safe.
TEST_P(KMeansLanes, WhatIsKeptOfFitsStays) {
  test::MemoryUnits units;
  const std::int64_t budget = core::MemoryBudget::kBaseBytes + together(1, 3);
  EXPECT_THROW(fit(lags_, budget, 1, &units, false, 2), Error);
  // The first was taken; the second was under way to its caller, the third behind it.
  for (const char* name : {"lag 1", "lag 2", "lag 6"}) EXPECT_TRUE(units.has(name)) << name;
  const auto models = fit({2, 6}, budget, 1, &units);
  EXPECT_EQ(units.n_loaded, 2);
  expect_same(models[0], alone()[1]);
  expect_same(models[1], alone()[2]);
}

INSTANTIATE_TEST_SUITE_P(RestartsOn, KMeansLanes, ::testing::Values(RestartsOn::kSample, RestartsOn::kAll),
                         [](const auto& info) { return info.param == RestartsOn::kAll ? "all" : "sample"; });

}  // namespace
}  // namespace phase0::models
