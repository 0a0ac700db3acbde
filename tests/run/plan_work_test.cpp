#include "run/plan_work.h"

#include <gtest/gtest.h>

#include "run/session_options.h"
#include "store/file_system.h"
#include "support/expect_error.h"
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
  workload.delta = workload.mean = data::matrix_shape(workload.n_train, workload.dim);
  workload.flat = data::matrix_shape(workload.n_train, workload.dim);
  workload.flat.window = 4;
  workload.span = workload.flat;
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

  /// Written, but for what is kept for later starts.
  double written(const Work& work, const Workload& workload) {
    return work.bytes_written.max -
           static_cast<double>(fit_kept_bytes(Session(options_, observer_), workload));
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
  workload.quantised = true;
  EXPECT_EQ(collect_work(session, workload).bytes_read.max, 2000 * 80 + 4 * 4 * 2000);
  workload.staged = false;
  EXPECT_EQ(collect_work(session, workload).bytes_read.max, 4 * 4 * 2000);
}

TEST_F(PlanWorkTest, KMeansIsCountedPassByPass) {
  options_.clustering.conditions = {{"vq", ConditionType::kMeanPoolVq, 4, 0}};
  const Work work = fit(options_, small_workload());
  // 2 restarts of 4 clusters, 3 trials (2 + ln 4) for each of 3 further centroids, at most 10 iterations.
  const double seeding = 3 * 1000 * 2.0 * (1 + 3);
  // Bounds leave 3 + 0.3 x 11 of its 11 scans of Lloyd to be computed, as it is thought.
  EXPECT_EQ(units(work, Operation::kScore), seeding + 1000 * 8 * 6.3 + 1500 * 4);
  EXPECT_EQ(units(work, Operation::kProduct), 10 * units(work, Operation::kScore));
  EXPECT_EQ(units(work, Operation::kSum), 1000 * 10 * 2 * 6.3);
  // Passes over frames: normaliser, copying; all rows once for their ids.
  const double frames = 20 * (1000.0 * 2 + 1500);
  const double distances = 1000 * 4 * 2 * 6.0;
  const double bounds = 1000 * 12 * 2;
  EXPECT_EQ(work.bytes_read.expected, frames + distances + 11 * bounds);
  EXPECT_EQ(work.bytes_read.min, frames + distances + 3 * bounds);  // two iterations
  EXPECT_EQ(written(work, small_workload()), distances / 2 + 11 * bounds / 5 + 8 * 1500);
}

TEST_F(PlanWorkTest, LagsMultiplyAllButTheNormaliserAndThePcaOfNearLags) {
  Workload workload = small_workload();
  const Work one = fit(options_, workload);
  const double written_by_one = written(one, workload);
  options_.context.lags = {1, 2, 5};
  workload.span.window = 8;
  const Work near = fit(options_, workload);
  const double normaliser = 20 * 1000;
  const double pca = 20 * (1000 + 1500);  // frames for the covariance and for the scores
  EXPECT_EQ(near.bytes_read.max, 3 * one.bytes_read.max - 2 * (normaliser + pca));
  EXPECT_EQ(written(near, workload), 3 * written_by_one);
  EXPECT_EQ(units(near, Operation::kFloatProduct), units(one, Operation::kFloatProduct));
  EXPECT_EQ(units(near, Operation::kDoubleProduct), 3 * units(one, Operation::kDoubleProduct));
  options_.context.lags = {1, 2, 6};  // the last farther off than the window's 4 frames
  workload.span.window = 5;
  const Work far = fit(options_, workload);
  EXPECT_EQ(far.bytes_read.max, 3 * one.bytes_read.max - 2 * normaliser - pca);
  EXPECT_EQ(units(far, Operation::kFloatProduct), 2 * units(one, Operation::kFloatProduct));
}

/// Contexts of 8 x 512 values, whose covariance takes 68 MiB.
Workload wide_workload() {
  Workload workload = small_workload();
  workload.dim = 512;
  workload.n_train = 100'000;
  workload.frame_bytes = 4 * workload.dim;
  workload.delta = workload.mean = data::matrix_shape(workload.n_train, workload.dim);
  workload.flat = workload.mean;
  workload.flat.window = 8;
  workload.span = workload.flat;
  return workload;
}

TEST_F(PlanWorkTest, PcaInPartsLoadsTheRowsForEachAndReadsItsScratchFileOften) {
  options_.context.window_size = 8;
  options_.clustering.conditions = {{"bins", ConditionType::kPcaQuartile, 0, 8}};
  const Workload workload = wide_workload();
  options_.memory.budget_bytes = std::int64_t{1} << 30;
  const StagePlan whole = plan_fit(Session(options_, observer_), workload);
  const Work of_whole = fit(options_, workload);
  options_.memory.budget_bytes = whole.minimum_memory_bytes;
  const Session session(options_, observer_);
  if (store::lies_in_memory(session.directory().path)) GTEST_SKIP() << "not divided on tmpfs";
  const models::PcaPlan pca = *fit_parts(session, workload).pca;
  ASSERT_GT(pca.n_scans, 3);
  const Work in_parts = fit_work(session, workload);
  const auto rows = static_cast<double>((pca.n_scans - 1) * workload.n_train * workload.frame_bytes);
  const auto scratch = static_cast<double>(pca.scratch_bytes);
  EXPECT_EQ(in_parts.bytes_read.min, of_whole.bytes_read.min + rows + 6 * scratch);
  EXPECT_GT(in_parts.bytes_read.expected, of_whole.bytes_read.expected + rows + 6 * scratch);
  EXPECT_EQ(in_parts.bytes_written.max, of_whole.bytes_written.max + scratch);
  const StagePlan plan = plan_fit(session, workload);
  EXPECT_EQ(plan.passes_max, whole.passes_max + pca.n_scans - 1);
  EXPECT_EQ(plan.peak_memory_bytes, plan.minimum_memory_bytes);
}

TEST_F(PlanWorkTest, TheCovarianceIsWholeOnTmpfs) {
  if (!store::lies_in_memory("/dev/shm")) GTEST_SKIP() << "/dev/shm is not tmpfs";
  options_.context.window_size = 8;
  options_.clustering.conditions = {{"bins", ConditionType::kPcaQuartile, 0, 8}};
  options_.memory.budget_bytes = std::int64_t{1} << 30;
  const Workload workload = wide_workload();
  const StagePlan roomy_on_disk = plan_fit(Session(options_, observer_), workload);
  options_.output.dir = "/dev/shm/run";
  const Session roomy(options_, observer_);
  const std::int64_t files = fit_files_in_memory(roomy, workload);
  const std::int64_t least = plan_fit(roomy, workload).minimum_memory_bytes;
  // Dividing would save the covariance and cost a scratch file of its size.
  EXPECT_GT(least - files, roomy_on_disk.minimum_memory_bytes);
  options_.memory.budget_bytes = least;
  const Session tight(options_, observer_);
  EXPECT_EQ(fit_parts(tight, workload).pca->scratch_bytes, 0);
  EXPECT_EQ(plan_fit(tight, workload).peak_memory_bytes, least);
}

TEST_F(PlanWorkTest, TheIncrementalSvdIsCountedByChunks) {
  options_.context.window_size = 8;
  options_.clustering.conditions = {{"bins", ConditionType::kPcaQuartile, 0, 8}};
  options_.clustering.pca_method = PcaMethod::kIncrementalSvd;
  const Workload workload = wide_workload();
  const Work work = fit(options_, workload);
  EXPECT_EQ(units(work, Operation::kFloatProduct), 0);
  // 391 chunks; a stack of 256 + 80 + 1 rows of 4096 values, on one of two threads at half the rate.
  const double stack = 337;
  const double svd = 2 * 391 * 2 * (stack * (stack + 80) * 4096 + 10 * stack * stack * stack);
  EXPECT_EQ(units(work, Operation::kDoubleProduct), svd + 100'500.0 * 4096 * 8);
}

TEST_F(PlanWorkTest, GroupsOfRestartsTakePassesOfTheirOwn) {
  options_.clustering.conditions = {{"vq", ConditionType::kMeanPoolVq, 64, 0}};
  options_.clustering.kmeans.n_init = 8;
  const Workload workload = wide_workload();
  options_.memory.budget_bytes = std::int64_t{1} << 30;
  const StagePlan kept = plan_fit(Session(options_, observer_), workload);
  EXPECT_EQ(kept.passes_max, 1 + 2);  // normaliser, copying and assignment
  options_.memory.budget_bytes = kept.peak_memory_bytes - 1;
  const StagePlan together = plan_fit(Session(options_, observer_), workload);
  const Work of_together = fit(options_, workload);
  options_.memory.budget_bytes = together.minimum_memory_bytes;
  const Session session(options_, observer_);
  ASSERT_EQ(fit_parts(session, workload).kmeans[0].restarts_together, 1);
  const StagePlan plan = plan_fit(session, workload);
  // Normaliser, moments and assignment once; for every group 2 x 63 of seeding, then Lloyd.
  EXPECT_EQ(together.passes_max, 3 + 126 + 11);
  EXPECT_EQ(plan.passes_max, 3 + 8 * (126 + 11));
  EXPECT_EQ(plan.passes_min, 3 + 8 * (126 + 2));
  const auto more = static_cast<double>(7 * (126 + 11) * workload.n_train * workload.frame_bytes);
  EXPECT_EQ(fit_work(session, workload).bytes_read.max, of_together.bytes_read.max + more);
  EXPECT_EQ(fit_work(session, workload).bytes_written.max, of_together.bytes_written.max);
}

TEST_F(PlanWorkTest, RunsOfASampleRaceOnAllRows) {
  options_.clustering.conditions = {{"vq", ConditionType::kMeanPoolVq, 64, 0}};
  options_.clustering.kmeans.restarts_on = RestartsOn::kSample;
  options_.clustering.kmeans.n_init = 4;
  options_.memory.budget_bytes = std::int64_t{1} << 30;
  options_.clustering.kmeans.max_iter = 50;
  const StagePlan kept = plan_fit(Session(options_, observer_), wide_workload());
  EXPECT_EQ(kept.passes_max, 1 + 2);  // normaliser, copying and assignment
  EXPECT_EQ(kept.passes_min, 1 + 2);
  options_.memory.budget_bytes = kept.peak_memory_bytes - 1;
  const StagePlan together = plan_fit(Session(options_, observer_), wide_workload());
  // Normaliser, copying the sample, moments and assignment once. 20 iterations of three runs and a pass for
  // the inertia of those that end there; then 30 of the best, and that pass.
  EXPECT_EQ(together.passes_max, 4 + 21 + 31);
  EXPECT_EQ(together.passes_min, 4 + 2);
  options_.memory.budget_bytes = together.minimum_memory_bytes;
  const Session tight(options_, observer_);
  ASSERT_EQ(fit_parts(tight, wide_workload()).kmeans[0].refined_together, 1);
  EXPECT_EQ(plan_fit(tight, wide_workload()).passes_max, 4 + 3 * 21 + 31);
  EXPECT_EQ(plan_fit(tight, wide_workload()).passes_min, 4 + 3 * 2);
  options_.clustering.kmeans.max_iter = 20;  // all end in the race
  EXPECT_EQ(plan_fit(Session(options_, observer_), wide_workload()).passes_max, 4 + 3 * 21);
}

TEST_F(PlanWorkTest, ScratchIsTheScoresAndTheLargestKMeans) {
  const Session session(options_, observer_);
  Workload workload = small_workload();
  EXPECT_EQ(fit_scratch_bytes(session, workload, {}), 4 * 3 * 1500 + 12 * 1000 * 2);
  options_.clustering.kmeans.restarts_on = RestartsOn::kSample;
  workload.n_train = workload.mean.n_rows = 100000;
  EXPECT_EQ(fit_scratch_bytes(Session(options_, observer_), workload, {}),
            4 * 3 * 100500 + 4 * models::kmeans_sample_size(1) * 10 + 12 * 2 * 100000);
  workload.mean.frame_dim = 64;  // wide rows have bounds of eight groups of centroids
  EXPECT_EQ(fit_scratch_bytes(Session(options_, observer_), workload, {}),
            4 * 3 * 100500 + 4 * models::kmeans_sample_size(1) * 64 + 40 * 2 * 100000);
}

TEST_F(PlanWorkTest, OutputOnTmpfsIsMemory) {
  Workload workload = small_workload();
  const StagePlan on_disk =
      plan_fit(Session(test::session_options("/sys/run", 1 << 30), observer_), workload);
  EXPECT_EQ(on_disk.output_in_memory_bytes, 0);
  if (!store::lies_in_memory("/dev/shm")) GTEST_SKIP() << "/dev/shm is not tmpfs";
  const Session session(test::session_options("/dev/shm/run", 1 << 30), observer_);
  const StagePlan in_memory = plan_fit(session, workload);
  const std::int64_t files = workload.features_bytes + fit_output_bytes(session, workload) +
                             fit_scratch_bytes(session, workload, {});
  EXPECT_EQ(in_memory.output_in_memory_bytes, files);
  EXPECT_EQ(in_memory.minimum_memory_bytes, on_disk.minimum_memory_bytes + files);
  EXPECT_EQ(in_memory.peak_memory_bytes, on_disk.peak_memory_bytes + files);
  EXPECT_EQ(in_memory.memory.back().name, "output on tmpfs");
}

TEST_F(PlanWorkTest, SizesBeyondTheLargestNumberAreRefused) {
  options_.context.window_size = 1'000'000;
  options_.clustering.conditions = {{"pca", ConditionType::kPcaVq, 2, 1'000'000'000}};
  Workload workload = small_workload();
  workload.dim = 65'536;
  test::expect_error(ErrorKind::kMemory, "the memory of the models is too large",
                     [&] { models_bytes(options_, workload); });
  const auto output = [&] { fit_output_bytes(Session(options_, observer_), workload); };
  test::expect_error(ErrorKind::kStorage, "the disk that a run takes is too large", output);
}

}  // namespace
}  // namespace phase0::run
