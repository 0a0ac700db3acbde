// What the models hold in memory against what they state.

#include <gtest/gtest.h>

#include <malloc.h>

#include "models/kmeans.h"
#include "models/pca.h"
#include "models/sources.h"
#include "support/resident_memory.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

/// Peak of the resident memory while `work` runs, over what was resident before.
template <typename Work>
std::int64_t taken_by(const Work& work) {
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(kMiB));  // as the program does
  core::trim_heap();
  if (!core::reset_peak_rss()) return -1;
  const std::int64_t before = core::current_rss_bytes();
  work();
  return core::peak_rss_bytes() - before;
}

/// Large shapes, of which there is nothing to learn but their memory.
class ModelMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::kFreedMemoryIsGivenBack) GTEST_SKIP() << "resident memory is the sanitizer's";
  }
};

bool is_measured(std::int64_t taken) {
  return taken >= 0;
}
/// Bytes stated are enough (small allocations and pages of the program apart).
void expect_at_most(std::int64_t stated, std::int64_t taken) {
  if (is_measured(taken)) {
    EXPECT_LE(taken, stated + kMiB);
  }
}
void expect_not_much_more(std::int64_t stated, std::int64_t taken) {
  if (is_measured(taken)) {
    EXPECT_GE(taken, stated * 3 / 4);
  }
}

TEST_F(ModelMemory, IncrementalSvd) {
  const std::int64_t dim = 6000;
  const std::int64_t k = 40;
  std::vector<data::FeatureBlock> blocks(1);
  data::FeatureBlock& block = blocks[0];
  block.n_rows = block.n_frames = 600;  // two updates, and the rest
  block.frame_dim = dim;
  block.runs = {{0, block.n_rows, 0}};
  const auto values = testing::normals(block.n_rows * dim, 41);
  block.frames.resize(std::ssize(values));
  std::copy(values.begin(), values.end(), block.frames.data());
  testing::Machine machine(1);
  const std::int64_t taken = taken_by([&] {
    const auto fitter = incremental_svd_fitter(dim, k);
    fitter->add(blocks, machine.pool);
    fitter->end_scan(machine.pool);
    fitter->finish(k, machine.execution);
  });
  expect_at_most(incremental_svd_size(dim, k).bytes, taken);
  expect_not_much_more(incremental_svd_size(dim, k).bytes, taken);
}

TEST_F(ModelMemory, KMeansWithLargeCentroids) {
  const std::int64_t d = 512;
  const std::int64_t n = 1000;
  const auto source = data::matrix_source(testing::matrix(testing::normals(n * d, 42), d));
  KMeansTask task;
  task.k = 500;
  task.options.max_iter = 6;  // with bounds in the end
  task.options.restarts_on = RestartsOn::kAll;
  task.scratch_folder = testing::scratch_folder();
  // One run leaves unused what is planned for runs kept beside it and for empty clusters.
  for (const std::int64_t runs : {1, 12}) {
    task.options.n_init = runs;
    testing::Machine machine(1);
    const std::int64_t taken = taken_by([&] { fit_kmeans(*source, task, machine.execution); });
    const KMeansPlan memory =
        plan_kmeans({source->shape()}, task.k, task.options, 1, machine.memory.free_bytes());
    EXPECT_EQ(memory.restarts_together, runs);
    expect_at_most(memory.planned_bytes, taken);
    if (runs == 12) expect_not_much_more(memory.planned_bytes, taken);
  }
}

}  // namespace
}  // namespace phase0::models
