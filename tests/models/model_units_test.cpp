#include "models/model_units.h"

#include <gtest/gtest.h>

#include "models/kmeans_progress.h"
#include "support/expect_error.h"
#include "support/memory_units.h"

namespace phase0::models {
namespace {

using test::expect_error;

ConditionModel sound_condition() {
  ConditionModel model;
  model.pca = PcaModel{1, 2, 9, "covariance", {0, 1}, {1, 0}, {2}, {0.5}};
  model.kmeans.emplace();
  model.kmeans->k = 2;
  model.kmeans->d = 1;
  model.kmeans->centroids = {3, 4};
  model.kmeans->counts = {5, 6};
  model.quartile.emplace();
  model.quartile->d = 1;
  model.quartile->edges = {1, 2, 3};
  model.n_total = 11;
  return model;
}

ConditionModel read_back(const ConditionModel& model) {
  test::ByteString kept;
  put(kept, model);
  test::ByteStringSource source(kept.bytes);
  return get_condition(source);
}

TEST(ModelUnitsTest, AModelOfAnotherShapeThanItStatesIsRefused) {
  EXPECT_EQ(read_back(sound_condition()).kmeans->centroids, sound_condition().kmeans->centroids);
  const std::vector<void (*)(ConditionModel&)> damages = {
      [](ConditionModel& m) { m.pca->components.pop_back(); },
      [](ConditionModel& m) { m.pca->mean.push_back(0); },
      [](ConditionModel& m) { m.pca->explained_variance_ratio.clear(); },
      [](ConditionModel& m) { m.kmeans->k = 3; },
      [](ConditionModel& m) { m.kmeans->d = -1; },
      [](ConditionModel& m) { m.kmeans->d = std::int64_t{1} << 62; },
      [](ConditionModel& m) { m.kmeans->counts.push_back(0); },
      [](ConditionModel& m) { m.quartile->d = 2; },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    SCOPED_TRACE(i);
    ConditionModel model = sound_condition();
    damages[i](model);
    expect_error(ErrorKind::kStorage, "", [&] { read_back(model); });
  }
}

/// Progress of two restarts of a k-means with K = 2, d = 1, as a unit: 1 and 2 under way, 0 done.
class KMeansProgressTest : public ::testing::Test {
 protected:
  static constexpr KMeansShape kShape{.k = 2, .d = 1, .n_init = 4};
  static LloydRun run(std::int64_t restart) {
    LloydRun run;
    run.restart = restart;
    run.centroids = {1, 2};
    run.history.emplace_back();
    return run;
  }
  void keep(void (*damage)(KMeansProgress&)) {
    KMeansProgress progress(&units_, {"k-means", "key"}, 4, kShape);
    progress.next_restart = 3;
    progress.waiting = {run(1), run(2)};
    progress.done = {run(0)};
    damage(progress);
    progress.save_when_due();
  }
  static void seed(KMeansProgress& progress, const std::vector<std::int64_t>& rows) {
    progress.waiting.clear();
    SeedingRun& steps = progress.seeding.emplace_back();
    for (const std::int64_t row : rows) steps.push_back({row, core::Random(1)});
  }
  bool is_taken() {
    const int before = units_.n_loaded;
    const KMeansProgress progress(&units_, {"k-means", "key"}, 4, kShape);
    const bool taken = units_.n_loaded > before;
    // What is refused leaves nothing behind.
    EXPECT_EQ(progress.waiting.empty() && progress.done.empty() && progress.seeding.empty(), !taken);
    return taken;
  }

  test::MemoryUnits units_;
};

TEST_F(KMeansProgressTest, OnlyRestartsOnASampleAreFollowedByARace) {
  using Step = KMeansProgress::Step;
  keep([](KMeansProgress& p) { p.step = Step::kLast, p.waiting.resize(1); });
  KMeansShape shape = kShape;
  shape.sampled = false;
  EXPECT_FALSE(KMeansProgress(&units_, {"k-means", "key"}, 4, shape).resumed);
  EXPECT_TRUE(KMeansProgress(&units_, {"k-means", "key"}, 4, kShape).resumed);
}

TEST_F(KMeansProgressTest, TakesOnlyWhatAFitCanGoOnFrom) {
  using Step = KMeansProgress::Step;
  const std::vector<void (*)(KMeansProgress&)> sound = {
      [](KMeansProgress&) {},
      [](KMeansProgress& p) { p.step = Step::kRace; },
      [](KMeansProgress& p) {
        p.step = Step::kLast;
        p.waiting.resize(1);
      },
      [](KMeansProgress& p) {
        seed(p, {7, 9});
      },
      [](KMeansProgress& p) { seed(p, {7}), p.done.clear(), p.next_restart = 0; },
  };
  const std::vector<void (*)(KMeansProgress&)> forged = {
      [](KMeansProgress& p) { p.waiting[1].centroids.pop_back(); },
      [](KMeansProgress& p) { p.done[0].counts = {7}; },
      [](KMeansProgress& p) { p.waiting[0].restart = 3; },
      [](KMeansProgress& p) { p.waiting[0].restart = -1; },
      [](KMeansProgress& p) { p.next_restart = 5; },
      [](KMeansProgress& p) { p.step = static_cast<Step>(3); },
      [](KMeansProgress& p) { p.waiting.clear(), p.done.clear(); },
      [](KMeansProgress& p) { p.step = Step::kRace, p.done[0].history.clear(); },
      [](KMeansProgress& p) { p.step = Step::kLast; },  // two of them
      [](KMeansProgress& p) { p.step = Step::kLast, p.waiting.resize(1), p.leader = 1; },
      [](KMeansProgress& p) { p.step = Step::kLast, p.waiting.resize(1), p.leader = -1; },
      [](KMeansProgress& p) {
        seed(p, {7, 9, 8});
      },  // of two clusters
      [](KMeansProgress& p) { seed(p, {}); },
      [](KMeansProgress& p) { seed(p, {7}), p.next_restart = 4; },
      [](KMeansProgress& p) { seed(p, {7}), p.waiting = {run(1)}; },
      [](KMeansProgress& p) { seed(p, {7}), p.step = Step::kRace; },
  };
  for (std::size_t i = 0; i < sound.size() + forged.size(); ++i) {
    SCOPED_TRACE(i);
    units_.drop({"k-means", "key"});
    keep(i < sound.size() ? sound[i] : forged[i - sound.size()]);
    EXPECT_EQ(is_taken(), i < sound.size());
  }
}

}  // namespace
}  // namespace phase0::models
