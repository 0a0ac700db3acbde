#include "run/plan_work.h"

#include <gtest/gtest.h>

#include "run/session_options.h"
#include "store/file_system.h"
#include "support/temporary_folder.h"

namespace phase0::run {
namespace {

Workload small_workload() {
  Workload workload;
  workload.n_frames = 2000;
  workload.dim = 10;
  workload.n_train = 1000;
  workload.n_eval = 500;
  workload.n_speakers = 3;
  workload.frame_bytes = 20;  // float16
  workload.input_frame_bytes = 20;
  workload.features_bytes = 40000;
  return workload;
}

double units(const Work& work, Operation operation) {
  return work.units[static_cast<std::size_t>(operation)].expected;
}

class PlanWorkTest : public ::testing::Test {
 protected:
  Work fit(const Options& options, const Workload& workload) {
    return fit_work(Session(options, observer_), workload);
  }

  test::TemporaryFolder folder_;
  Observer observer_;
  Options options_ = test::session_options(folder_.file("run"));
};

TEST_F(PlanWorkTest, CollectReadsFramesOnceAndTwiceWhenTheyAreStaged) {
  const Session session(options_, observer_);
  Workload workload = small_workload();
  EXPECT_EQ(collect_work(session, workload).bytes_read.max, 2000 * 20 + 4 * 4 * 2000);
  EXPECT_EQ(collect_work(session, workload).bytes_written.max, 40000);
  workload.staged = true;
  workload.input_frame_bytes = 80;  // float64
  EXPECT_EQ(collect_work(session, workload).bytes_read.max, 2 * 2000 * 80 + 4 * 4 * 2000);
}

TEST_F(PlanWorkTest, KMeansIsCountedPassByPass) {
  options_.clustering.conditions = {{"vq", ConditionType::kMeanPoolVq, 4, 0}};
  const Work work = fit(options_, small_workload());
  // 2 restarts of 4 clusters, 3 trials (2 + ln 4) for each of 3 further centroids, at most 10 iterations.
  const double seeding = 3 * 1000 * 2.0 * (1 + 3);
  EXPECT_EQ(units(work, Operation::kScore), seeding + 1000 * 8 * 11.0 + 1500 * 4);
  EXPECT_EQ(units(work, Operation::kProduct), 10 * units(work, Operation::kScore));
  EXPECT_EQ(units(work, Operation::kSum), 1000 * 10 * 2 * 10);
  // Passes over frames: normaliser, moments, 6 of seeding, 11 of Lloyd; all rows once for their ids.
  const double frames = 20 * (1000.0 * (1 + 1 + 6 + 11) + 1500);
  const double distances = 1000 * 4 * 2 * 6.0;
  EXPECT_EQ(work.bytes_read.expected, frames + distances);
  EXPECT_EQ(work.bytes_read.min, frames + distances - 8 * 20 * 1000);  // two iterations
  EXPECT_EQ(work.bytes_written.max, distances / 2 + 8 * 1500);
}

TEST_F(PlanWorkTest, LagsMultiplyAllButTheNormaliser) {
  const Work one = fit(options_, small_workload());
  options_.context.lags = {1, 2, 4};
  const Work three = fit(options_, small_workload());
  EXPECT_EQ(three.bytes_read.max, 3 * one.bytes_read.max - 2 * 20 * 1000);
  EXPECT_EQ(three.bytes_written.max, 3 * one.bytes_written.max);
}

TEST_F(PlanWorkTest, ScratchIsTheScoresAndTheLargestKMeans) {
  const Session session(options_, observer_);
  Workload workload = small_workload();
  EXPECT_EQ(fit_scratch_bytes(session, workload), 4 * 3 * 1500 + 4 * 1000 * 2);
  options_.clustering.kmeans.restarts_on = RestartsOn::kSample;
  workload.n_train = 100000;
  EXPECT_EQ(fit_scratch_bytes(Session(options_, observer_), workload), 4 * 3 * 100500 + 4 * 65536 * (2 + 10));
}

TEST_F(PlanWorkTest, OutputOnTmpfsIsMemory) {
  StagePlan plan;
  plan.peak_memory_bytes = 200;
  plan.minimum_memory_bytes = 100;
  count_output_in_memory(Session(test::session_options("/sys/run", 230), observer_), 50, plan);
  EXPECT_EQ(plan.output_in_memory_bytes, 0);
  EXPECT_EQ(plan.minimum_memory_bytes, 100);
  if (!store::lies_in_memory("/dev/shm")) GTEST_SKIP() << "/dev/shm is not tmpfs";
  count_output_in_memory(Session(test::session_options("/dev/shm/run", 230), observer_), 50, plan);
  EXPECT_EQ(plan.output_in_memory_bytes, 50);
  EXPECT_EQ(plan.minimum_memory_bytes, 150);
  EXPECT_EQ(plan.peak_memory_bytes, 230);  // what adapts takes what is left
  EXPECT_EQ(plan.memory.back().name, "output on tmpfs");
}

}  // namespace
}  // namespace phase0::run
