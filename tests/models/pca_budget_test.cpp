#include <gtest/gtest.h>

#include "models/pca_reference.h"
#include "models/sources.h"
#include "store/file_system.h"

namespace phase0::models {
namespace {

using testing::Machine;

constexpr std::int64_t kRoomy = std::int64_t{8} << 30;

/// Contexts whose covariance (4.5 MB) is several times the smallest group.
class PcaBudget : public ::testing::Test {
 protected:
  void SetUp() override {
    if (store::lies_in_memory(testing::scratch_folder())) GTEST_SKIP() << "scratch files lie in memory";
  }

  static constexpr std::int64_t kColumns = 64, kWindow = 16, kComponents = 4;

  PcaPlan plan(int threads, std::int64_t free_bytes, PcaMethod method = PcaMethod::kAuto) const {
    return plan_pca(source_->shape(), testing::whole_rows(source_->shape(), kComponents, method),
                    {threads, free_bytes});
  }
  PcaModel fit(int threads, std::int64_t free_bytes, PcaMethod method = PcaMethod::kAuto) const {
    Machine machine(threads, core::MemoryBudget::kBaseBytes + free_bytes);
    return testing::fit_one(*source_, kComponents, machine.execution, method);
  }

  std::vector<float> frames_ = testing::persistent_frames(1200, kColumns, 0.5);
  data::SampleIndex index_ = testing::index_of({500, 30, 670}, kWindow);
  data::FrameMatrix matrix_{testing::matrix(frames_, kColumns)};
  std::unique_ptr<data::FeatureSource> source_ = data::flat_source(matrix_, index_, kWindow, 1);
};

TEST_F(PcaBudget, SameBitsForAnyNumberOfScansAndThreads) {
  const PcaModel reference = fit(1, kRoomy);
  EXPECT_EQ(reference.method, "covariance");
  for (const int threads : {1, 3}) {
    const std::int64_t least = plan(threads, 0).minimum_bytes;
    const std::int64_t most = plan(threads, kRoomy).need.minimum_bytes();
    std::vector<std::int64_t> scans;
    for (const std::int64_t free : {most, most - 1, (least + most) / 2, least}) {
      scans.push_back(plan(threads, free).n_scans);
      const PcaModel model = fit(threads, free);
      EXPECT_EQ(model.method, reference.method);
      EXPECT_EQ(model.components, reference.components)
          << scans.back() << " scans, " << threads << " threads";
      EXPECT_EQ(model.explained_variance, reference.explained_variance);
      EXPECT_EQ(model.explained_variance_ratio, reference.explained_variance_ratio);
      EXPECT_EQ(model.mean, reference.mean);
    }
    EXPECT_EQ(scans[0], 1);
    EXPECT_GE(scans[1], 2);
    EXPECT_GE(scans[2], 2);
    EXPECT_GE(scans[3], 4);
  }
}

TEST_F(PcaBudget, TheLeastMemoryStaysExact) {
  const PcaModel model = fit(2, plan(2, 0).minimum_bytes);
  testing::expect_close(model, testing::svd(testing::windows(frames_, kColumns, index_, kWindow, 1)), 1e-5,
                        1e-6);
}

TEST_F(PcaBudget, PlansSayScansAndScratchSpace) {
  const PcaPlan roomy = plan(2, kRoomy);
  EXPECT_EQ(roomy.n_scans, 1);
  EXPECT_EQ(roomy.scratch_bytes, 0);
  const PcaPlan least = plan(2, 0);
  EXPECT_EQ(least.need.minimum_bytes(), least.minimum_bytes);
  EXPECT_LT(least.minimum_bytes, roomy.need.minimum_bytes());
  EXPECT_EQ(roomy.minimum_bytes, least.minimum_bytes);
  EXPECT_EQ(least.scratch_bytes, kWindow * (kWindow + 1) / 2 * kColumns * kColumns * 8);
}

TEST_F(PcaBudget, TheCovarianceIsNotDividedWhereScratchFilesAreMemory) {
  const PcaPlan on_disk = plan(2, kRoomy);
  for (const std::int64_t free : {kRoomy, on_disk.need.minimum_bytes(), std::int64_t{0}}) {
    const PcaPlan in_memory =
        plan_pca(source_->shape(), testing::whole_rows(source_->shape(), kComponents), {2, free, true});
    EXPECT_EQ(in_memory.n_scans, 1);
    EXPECT_EQ(in_memory.scratch_bytes, 0);
    EXPECT_EQ(in_memory.minimum_bytes, on_disk.need.minimum_bytes());
  }
  if (!store::lies_in_memory("/dev/shm")) GTEST_SKIP() << "/dev/shm is not tmpfs";
  const auto fit_there = [&](std::int64_t free_bytes) {
    Machine machine(1, core::MemoryBudget::kBaseBytes + free_bytes);
    PcaTask task = testing::whole_rows(source_->shape(), kComponents);
    task.scratch_folder = "/dev/shm";
    return fit_pca(*source_, task, machine.execution)[0];
  };
  EXPECT_EQ(fit_there(on_disk.need.minimum_bytes()).components, fit(1, kRoomy).components);
  EXPECT_THROW(fit_there(on_disk.need.minimum_bytes() - 1), Error);
}

TEST_F(PcaBudget, LessThanTheMinimumIsRefusedWithTheFigure) {
  for (const PcaMethod method : {PcaMethod::kCovariance, PcaMethod::kIncrementalSvd}) {
    const std::int64_t least = plan(1, 0, method).minimum_bytes;
    EXPECT_NO_THROW(fit(1, least, method));
    try {
      fit(1, least - 1, method);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kMemory);
      const std::string figure = core::format_bytes(least + core::MemoryBudget::kBaseBytes);
      EXPECT_NE(std::string(error.what()).find("the smallest budget that works is " + figure),
                std::string::npos)
          << error.what();
    }
  }
}

/// Asks to stop when a scan is over.
struct StopAfterScan : Observer {
  void task_end() override { stop = true; }
  bool stop_requested() const override { return stop; }
  bool stop = false;
};

TEST_F(PcaBudget, TheEigensolverStopsWhenAsked) {
  Machine machine(1);
  StopAfterScan observer;
  core::Execution execution{machine.pool, machine.memory, observer};
  try {
    testing::fit_one(*source_, kComponents, execution);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInterrupted);
  }
}

TEST(PcaMethodChoice, DependsOnTheShapeAlone) {
  const auto method = [](std::int64_t window, std::int64_t d, std::int64_t free_bytes) {
    data::SourceShape shape{
        .n_rows = 1000, .window = window, .frame_dim = d, .block_rows = 64, .block_bytes = 1};
    return plan_pca(shape, testing::whole_rows(shape, 2), {1, free_bytes}).method;
  };
  for (const std::int64_t free_bytes : {std::int64_t{0}, std::int64_t{1} << 20, std::int64_t{1} << 50}) {
    EXPECT_EQ(method(8, 512, free_bytes), PcaMethod::kCovariance);
    EXPECT_EQ(method(1, 16384, free_bytes), PcaMethod::kCovariance);  // exactly 2 GiB
    EXPECT_EQ(method(1, 16385, free_bytes), PcaMethod::kIncrementalSvd);
    EXPECT_EQ(method(500, 512, free_bytes), PcaMethod::kIncrementalSvd);
    EXPECT_EQ(method(1'000'000, 1'000'000, free_bytes), PcaMethod::kIncrementalSvd);
  }
}

}  // namespace
}  // namespace phase0::models
