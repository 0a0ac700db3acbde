#include "models/kmeans.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "models/assign.h"
#include "models/kmeans_cases.h"
#include "support/failing_source.h"

namespace phase0::models {
namespace {

using testing::blobs;
using testing::inertia_of;
using testing::Machine;
using testing::task_for;

TEST(KMeans, FindsSeparatedBlobsAndReportsTheirInertia) {
  for (const double offset : {0.0, 1e4}) {
    const std::int64_t d = 6;
    const auto x = blobs(5000, d, 12, offset);
    const auto source = data::matrix_source(testing::matrix(x, d));
    Machine machine(2);
    const KMeansModel model = fit_kmeans(*source, task_for(12, RestartsOn::kAll, 8), machine.execution);
    std::vector<std::int64_t> counts;
    const double inertia = inertia_of(x, model, &counts);
    EXPECT_NEAR(model.inertia, inertia, 1e-9 * inertia);
    EXPECT_EQ(model.counts, counts);
    // Unit noise in d dimensions: the best clustering has an inertia of about n d.
    EXPECT_LT(inertia, 1.02 * 5000 * static_cast<double>(d));
    EXPECT_EQ(model.n_used, 5000);
    EXPECT_GE(model.n_iter, 1);
    EXPECT_FALSE(model.history.empty());
  }
}

TEST(KMeans, ObjectiveNeverRisesAndTheLastRowSaysWhyItStopped) {
  const auto x = testing::normals(4000 * 5, 33);
  const auto source = data::matrix_source(testing::matrix(x, 5));
  Machine machine(2);
  KMeansTask task = task_for(20);
  task.options.max_iter = 15;
  const KMeansModel model = fit_kmeans(*source, task, machine.execution);
  for (std::size_t i = 1; i < model.history.size(); ++i) {
    const auto& before = model.history[i - 1];
    const auto& after = model.history[i];
    if (after.restart != before.restart) {
      EXPECT_NE(before.stopped, "");
      continue;
    }
    EXPECT_EQ(before.stopped, "");
    EXPECT_LE(after.inertia, before.inertia * (1 + 1e-6));
  }
  EXPECT_NE(model.history.back().stopped, "");
}

TEST(KMeans, SameBitsForAnyThreadCountBudgetAndKernels) {
  const std::int64_t d = 24;
  const auto x = testing::normals(9000 * d, 34, 1.0, 5.0);
  const auto source = data::matrix_source(testing::matrix(x, d));
  Machine one(1);
  const KMeansModel reference = fit_kmeans(*source, task_for(30), one.execution);
  const auto expect_same = [&](Machine& machine) {
    const KMeansModel model = fit_kmeans(*source, task_for(30), machine.execution);
    EXPECT_EQ(model.centroids, reference.centroids);
    EXPECT_EQ(model.counts, reference.counts);
    EXPECT_EQ(model.inertia, reference.inertia);
    EXPECT_EQ(model.n_iter, reference.n_iter);
  };
  for (const int threads : {2, 3}) {
    Machine machine(threads);
    expect_same(machine);
  }
  const auto needed = [&](int threads, std::int64_t free_bytes) {
    return plan_kmeans({source->shape()}, 30, task_for(30).options, threads, free_bytes);
  };
  const std::int64_t minimum = needed(1, 0).minimum_bytes;
  EXPECT_EQ(needed(8, 0).minimum_bytes, minimum);  // more threads never mean more than the budget
  EXPECT_EQ(needed(3, minimum).planned_bytes, minimum);
  EXPECT_GT(needed(3, std::int64_t{1} << 30).planned_bytes, minimum);
  EXPECT_FALSE(needed(3, minimum).restart_rows_kept);
  EXPECT_TRUE(needed(3, std::int64_t{1} << 30).restart_rows_kept);
  for (const int threads : {1, 3}) {
    Machine small(threads, core::MemoryBudget::kBaseBytes + minimum);  // one restart at a time, one worker
    expect_same(small);
  }
  Machine smaller(1, core::MemoryBudget::kBaseBytes + minimum - 1);
  EXPECT_THROW(fit_kmeans(*source, task_for(30), smaller.execution), Error);
}

TEST(KMeans, FailedAllocationsChangeNothing) {
  const std::int64_t n = 100'000;  // 7 blocks
  const auto x = blobs(n, 3, 30, 0.0);
  const auto source = data::matrix_source(testing::matrix(x, 3));
  const std::int64_t kept =
      plan_kmeans({source->shape()}, 30, task_for(30).options, 3, 1 << 30).planned_bytes;
  Machine machine(3, core::MemoryBudget::kBaseBytes + kept - 1);  // no room for a copy: every scan loads
  const KMeansModel reference = fit_kmeans(*source, task_for(30), machine.execution);
  // In the middle of chunks, of which other blocks were worked on already.
  const test::FailingSource failing(
      *source, [](std::int64_t load) { return load == 1 || load == 20 || load == 130 || load == 250; });
  const KMeansModel model = fit_kmeans(failing, task_for(30), machine.execution);
  EXPECT_GT(failing.n_loads(), 250);
  EXPECT_EQ(model.centroids, reference.centroids);
  EXPECT_EQ(model.counts, reference.counts);
  EXPECT_EQ(model.inertia, reference.inertia);
}

TEST(KMeans, RestartsOnASampleAreRefinedOnAllRows) {
  const std::int64_t n = kmeans_sample_size(8) + 5000;
  const auto x = blobs(n, 3, 8, 0.0);
  const auto source = data::matrix_source(testing::matrix(x, 3));
  Machine machine(2);
  const KMeansModel sampled = fit_kmeans(*source, task_for(8, RestartsOn::kSample), machine.execution);
  const KMeansModel all = fit_kmeans(*source, task_for(8, RestartsOn::kAll), machine.execution);
  EXPECT_EQ(sampled.sample_rows, kmeans_sample_size(8));
  EXPECT_EQ(all.sample_rows, 0);
  EXPECT_EQ(sampled.n_used, n);
  EXPECT_EQ(sampled.history.back().phase, "refine");
  EXPECT_EQ(sampled.history.back().n_rows, n);
  EXPECT_NEAR(sampled.inertia, all.inertia, 1e-3 * all.inertia);
  const auto scheme = [](std::int64_t rows) { return kmeans_scheme(data::matrix_shape(rows, 3), 8, {}); };
  EXPECT_FALSE(scheme(2 * kmeans_sample_size(8)).sampled);
  EXPECT_TRUE(scheme(2 * kmeans_sample_size(8) + 1).sampled);
}

/// Of those that have not come to an end by then.
TEST(KMeans, RestartsOnASampleStopWhereTheBestAreKnown) {
  const std::int64_t d = 16;
  const std::int64_t n = 2 * kmeans_sample_size(24) + 1;
  const auto source = data::matrix_source(testing::matrix(testing::normals(n * d, 51), d));
  Machine machine(2);
  const KMeansModel model = fit_kmeans(*source, task_for(24, RestartsOn::kSample, 5), machine.execution);
  std::map<std::int64_t, KMeansIteration> last;  // of the restarts on the sample
  std::set<std::int64_t> refined;
  for (const auto& iteration : model.history) {
    if (iteration.phase == "restart") last[iteration.restart] = iteration;
    if (iteration.phase == "refine") refined.insert(iteration.restart);
  }
  ASSERT_EQ(last.size(), 5u);
  ASSERT_EQ(refined.size(), 3u);
  double worst_refined = 0;
  double best_behind = std::numeric_limits<double>::infinity();
  for (const auto& [restart, iteration] : last) {
    const bool goes_on = refined.contains(restart);
    EXPECT_EQ(iteration.iteration, kSampleIterations);
    EXPECT_EQ(iteration.stopped, goes_on ? "refined" : "behind");
    if (goes_on) worst_refined = std::max(worst_refined, iteration.inertia);
    if (!goes_on) best_behind = std::min(best_behind, iteration.inertia);
  }
  EXPECT_LT(worst_refined, best_behind);
}

TEST(KMeans, TheBestOfASampleRaceAndTheOthersAreBehind) {
  const std::int64_t d = 16;
  const std::int64_t n = kmeans_sample_size(24) + 4000;
  const auto source = data::matrix_source(testing::matrix(testing::normals(n * d, 51), d));
  const KMeansTask task = task_for(24, RestartsOn::kSample, 5);
  Machine machine(2);
  const KMeansModel model = fit_kmeans(*source, task, machine.execution);
  std::map<std::int64_t, std::vector<KMeansIteration>> refined;  // by restart
  for (const auto& iteration : model.history) {
    if (iteration.phase == "refine") refined[iteration.restart].push_back(iteration);
  }
  ASSERT_EQ(refined.size(), 3u);
  int n_behind = 0;
  for (const auto& [restart, iterations] : refined) {
    const auto& last = iterations.back();
    ASSERT_GE(std::ssize(iterations), kRaceIterations);
    EXPECT_EQ(last.n_rows, n);
    if (last.best) {
      EXPECT_GT(std::ssize(iterations), kRaceIterations);
      EXPECT_EQ(last.stopped, "tol");
      EXPECT_EQ(last.iteration, model.n_iter);
      for (const auto& [other, theirs] : refined) {
        EXPECT_LE(iterations[kRaceIterations - 1].inertia, theirs[kRaceIterations - 1].inertia);
      }
    } else {
      EXPECT_EQ(std::ssize(iterations), kRaceIterations);
      EXPECT_EQ(last.stopped, "behind");
      ++n_behind;
    }
  }
  EXPECT_EQ(n_behind, 2);
  EXPECT_TRUE(
      plan_kmeans({source->shape()}, 24, task.options, 2, machine.execution.memory.free_bytes()).rows_kept);
  // One run at a time, the rows read by every scan.
  const std::int64_t minimum = plan_kmeans({source->shape()}, 24, task.options, 1, 0).minimum_bytes;
  EXPECT_FALSE(plan_kmeans({source->shape()}, 24, task.options, 1, minimum).rows_kept);
  Machine small(1, core::MemoryBudget::kBaseBytes + minimum);
  const KMeansModel same = fit_kmeans(*source, task, small.execution);
  EXPECT_EQ(same.centroids, model.centroids);
  EXPECT_EQ(same.inertia, model.inertia);
  ASSERT_EQ(same.history.size(), model.history.size());
  for (std::size_t i = 0; i < same.history.size(); ++i) {
    EXPECT_EQ(same.history[i].restart, model.history[i].restart);
    EXPECT_EQ(same.history[i].inertia, model.history[i].inertia);
    EXPECT_EQ(same.history[i].stopped, model.history[i].stopped);
  }
}

TEST(KMeans, MemoryDoesNotGrowWithTheRows) {
  constexpr std::int64_t kPlenty = std::int64_t{64} << 30;
  const auto plan = [](std::int64_t n, RestartsOn restarts_on) {
    return plan_kmeans({data::matrix_shape(n, 512)}, 64, task_for(64, restarts_on).options, 2, kPlenty);
  };
  for (const RestartsOn restarts_on : {RestartsOn::kAll, RestartsOn::kSample}) {
    EXPECT_TRUE(plan(100'000, restarts_on).restart_rows_kept);
    const KMeansPlan large = plan(10'000'000, restarts_on);
    EXPECT_FALSE(large.rows_kept);
    EXPECT_LT(large.planned_bytes, std::int64_t{512} << 20);
  }
}

TEST(KMeans, SameBitsWhereRowsAreComputedAndWhereBlocksAreReadAhead) {
  const std::int64_t d = 24;  // with bounds, so that most rows are not loaded
  const std::int64_t n = kmeans_sample_size(12) + 3000;
  const data::SampleIndex index = testing::index_of({n / 3, n / 3, 1, n - n / 3 * 2 + 6}, 2);
  ASSERT_EQ(index.n_rows(), n);
  const std::int64_t n_frames = index.n_rows() + 7;
  const data::FrameMatrix frames(testing::matrix(blobs(n_frames, d, 12, 3.0), d));
  const auto means = data::means_source(frames, index, 2, {1});
  data::FeatureBlock all;
  means->load(0, n, all);
  const std::vector<float> x(all.matrix(), all.matrix() + n * d);
  const auto stored = data::matrix_source(testing::matrix(x, d));
  Machine machine(2);
  const KMeansModel reference = fit_kmeans(*stored, task_for(12, RestartsOn::kSample), machine.execution);
  std::vector<std::int64_t> counts;
  EXPECT_NEAR(reference.inertia, inertia_of(x, reference, &counts), 1e-9 * reference.inertia);
  EXPECT_EQ(reference.counts, counts);
  for (const std::int64_t page_cache_bytes : {std::int64_t{0}, machine.execution.page_cache_bytes}) {
    for (const data::FeatureSource* source : {means.get(), stored.get()}) {
      Machine other(3);
      other.execution.page_cache_bytes = page_cache_bytes;
      const KMeansModel model = fit_kmeans(*source, task_for(12, RestartsOn::kSample), other.execution);
      EXPECT_EQ(model.centroids, reference.centroids);
      EXPECT_EQ(model.counts, reference.counts);
      EXPECT_EQ(model.inertia, reference.inertia);
      EXPECT_EQ(model.n_iter, reference.n_iter);
    }
  }
}

TEST(KMeans, EmptyClustersAreReseededWithFarRows) {
  // Two far groups of which one is a single row: greedy seeding finds it, and k = n leaves no cluster empty.
  std::vector<float> x;
  for (int i = 0; i < 50; ++i) x.push_back(static_cast<float>(i % 10));
  x.push_back(1000.0f);
  const auto source = data::matrix_source(testing::matrix(x, 1));
  Machine machine(1);
  const KMeansModel model = fit_kmeans(*source, task_for(11), machine.execution);
  EXPECT_EQ(model.inertia, 0.0);
  for (const std::int64_t count : model.counts) EXPECT_GE(count, 1);
}

TEST(KMeans, RefusesFewerRowsThanClusters) {
  const auto source = data::matrix_source(testing::matrix({1, 2, 3}, 1));
  Machine machine(1);
  try {
    fit_kmeans(*source, task_for(4), machine.execution);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
  }
}

TEST(Assign, WritesIdsDistancesAndHoldoutSums) {
  const std::int64_t d = 4;
  const auto frames = testing::normals(3000 * d, 36, 1.0, 100.0);
  std::vector<data::UtteranceRows> utterances = testing::index_of({1000, 500, 1500}, 1).utterances();
  utterances[1].holdout = true;
  const data::SampleIndex index(utterances);
  const data::FrameMatrix matrix(testing::matrix(frames, d));
  const auto source = data::means_source(matrix, index, 1, {1});
  const std::vector<float> centroids = testing::normals(7 * d, 37, 1.0, 100.0);
  const auto run = [&](int threads) {
    Machine machine(threads);
    AssignmentOut out{
        store::scratch_matrix(testing::scratch_folder(), store::ElementType::kInt32, index.n_rows(), 1),
        store::scratch_matrix(testing::scratch_folder(), store::ElementType::kFloat32, index.n_rows(), 1)};
    const AssignmentSums sums = assign_nearest(centroids, 7, std::vector<float>(4, 100.0f), *source, index,
                                               out, machine.execution, "ids");
    return std::pair(out, sums);
  };
  const auto [out, sums] = run(1);
  EXPECT_EQ(sums.n_holdout, 499);
  EXPECT_EQ(sums.n_fitted, 999 + 1499);
  double total = 0;
  for (std::int64_t r = 0; r < index.n_rows(); ++r) {
    const auto distance = static_cast<double>(out.distance.data<float>()[r]);
    total += distance * distance;
  }
  EXPECT_NEAR(sums.inertia_fitted + sums.inertia_holdout, total, 1e-6 * total);
  const auto [other, other_sums] = run(3);
  EXPECT_EQ(other_sums.inertia_fitted, sums.inertia_fitted);
  EXPECT_TRUE(std::equal(out.cluster.data<std::int32_t>(), out.cluster.data<std::int32_t>() + index.n_rows(),
                         other.cluster.data<std::int32_t>()));
}

}  // namespace
}  // namespace phase0::models
