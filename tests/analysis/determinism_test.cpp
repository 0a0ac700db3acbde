#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "analysis/problem.h"
#include "support/failing_source.h"
#include "support/memory_units.h"
#include "support/sanitizers.h"

namespace phase0::analysis {
namespace {

using testing::Problem;
using testing::RecordingObserver;

/// Every figure of a result as bits.
class Bits {
 public:
  explicit Bits(const AnalysisResult& result) {
    for (const auto& cell : result.cells) {
      add(cell.train);
      add(cell.eval);
      add(cell.cross_speaker_degradation);
    }
    for (const auto& speaker : result.speakers) add(speaker.variance_ratio);
    for (const auto& cluster : result.clusters) {
      add(cluster.train_variance);
      add(cluster.eval_variance);
    }
    for (const auto& point : result.confidence) {
      add(point.max_distance);
      add(point.variance_ratio);
    }
  }
  const std::vector<std::uint64_t>& values() const { return values_; }

 private:
  void add(const std::optional<double>& value) {
    std::uint64_t bits = ~std::uint64_t{0};
    if (value) std::memcpy(&bits, &*value, sizeof(bits));
    values_.push_back(bits);
  }
  void add(const SplitMetrics& m) {
    for (const auto& value :
         {m.excluded_mass, m.variance_ratio, m.variance_ratio_adjusted, m.entropy_unconditional,
          m.entropy_conditional, m.entropy_reduction, m.entropy_reduction_nats,
          m.entropy_reduction_nats_per_dim, m.speaker_mean, m.speaker_std, m.speaker_ci_lower,
          m.speaker_ci_upper, m.random_baseline_mean, m.random_baseline_std, m.random_baseline_p_value}) {
      add(value);
    }
    values_.push_back(static_cast<std::uint64_t>(m.n_samples));
    values_.push_back(static_cast<std::uint64_t>(m.n_speakers));
  }
  std::vector<std::uint64_t> values_;
};

/// More rows than a chunk, three tiles.
testing::Shape large() {
  return {.dim = 130, .utterances = 150};
}

AnalysisMemory memory_of(const Problem& problem, int threads) {
  // Both cells of the problem have a lag of their own, so this bound counts four cells.
  return analysis_memory(problem.options, static_cast<std::int64_t>(problem.mu.size()),
                         problem.train.n_rows(), problem.eval.n_rows(), threads, testing::kAmple,
                         static_cast<std::int64_t>(problem.input.speaker_names.size()));
}

/// Scans of each split, from the totals of the tasks.
std::int64_t scans(const RecordingObserver& observer, const Problem& problem) {
  return observer.totals.at(0) / problem.train.n_rows();
}

TEST(AnalyzeDeterminism, ThreadsDoNotMatter) {
  const Problem problem(large());
  ASSERT_GT(problem.train.n_rows(), 2048);
  const Bits one{run(problem, 1)};
  EXPECT_EQ(one.values(), Bits{run(problem, 3)}.values());
  EXPECT_EQ(one.values(), Bits{run(problem, 2)}.values());
}

TEST(AnalyzeDeterminism, TheBudgetDoesNotMatter) {
  Problem problem(large());
  problem.options.metrics.permutations = 400;  // so that the sums outweigh the fixed buffers
  problem.options.slices.emplace_back(SliceOptions{"late", SliceFilterKind::kPosFrac, 0.5, 1.0});
  RecordingObserver ample;
  const Bits expected{run(problem, 1, testing::kAmple, &ample)};
  EXPECT_EQ(scans(ample, problem), 1);
  EXPECT_EQ(ample.done, problem.train.n_rows() + problem.eval.n_rows());

  const std::int64_t minimum = memory_of(problem, 3).minimum_bytes + core::MemoryBudget::kBaseBytes;
  RecordingObserver tiny;
  EXPECT_EQ(expected.values(), Bits{run(problem, 3, minimum, &tiny)}.values());

  // Less and less until it is refused: the bits stay, the scans grow.
  std::int64_t most_scans = 1;
  for (std::int64_t budget = minimum;; budget -= std::int64_t{1} << 19) {
    try {
      RecordingObserver observer;
      EXPECT_EQ(expected.values(), Bits{run(problem, 1, budget, &observer)}.values());
      EXPECT_GE(scans(observer, problem), most_scans);
      most_scans = scans(observer, problem);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kMemory);
      break;
    }
  }
  EXPECT_GT(most_scans, 3);
}

TEST(AnalyzeDeterminism, ThePlanCoversTheRun) {
  const Problem problem(large());
  for (const int threads : {1, 3}) {
    const AnalysisMemory memory = memory_of(problem, threads);
    EXPECT_LE(memory.minimum_bytes, memory.one_scan_bytes);
    RecordingObserver observer;
    run(problem, threads, memory.one_scan_bytes + core::MemoryBudget::kBaseBytes, &observer);
    EXPECT_EQ(scans(observer, problem), 1);
    EXPECT_NO_THROW(run(problem, threads, memory.minimum_bytes + core::MemoryBudget::kBaseBytes));
  }
}

TEST(AnalyzeDeterminism, ThePlanIsExactOnceTheClustersAreCounted) {
  const Problem problem(large());
  for (const std::int64_t free : {std::int64_t{24} << 20, testing::kAmple}) {
    core::ThreadPool pool(2);
    core::MemoryBudget memory(core::MemoryBudget::kBaseBytes + free, "test");
    Observer observer;
    core::Execution execution{pool, memory, observer};
    const AnalysisMemory exact = Analysis(problem.options, problem.input, execution).memory();
    const AnalysisMemory bound = memory_of(problem, 2);
    EXPECT_LE(exact.minimum_bytes, exact.planned_bytes);
    EXPECT_LE(exact.minimum_bytes, bound.minimum_bytes);
    EXPECT_LE(exact.one_scan_bytes, bound.one_scan_bytes);
    EXPECT_LE(exact.planned_bytes, std::max(free, exact.minimum_bytes));
  }
}

TEST(AnalyzeDeterminism, FailedAllocationsChangeNothing) {
  Problem problem(large());
  const Bits expected{run(problem, 2)};
  // Behind the 64 loads for the centre, in the middle of chunks, of which other blocks were loaded already;
  // the streams must not move on twice.
  const test::FailingSource failing(
      *problem.train.source, [](std::int64_t load) { return load == 69 || load == 134 || load == 214; });
  problem.input.train.delta = &failing;
  EXPECT_EQ(expected.values(), Bits{run(problem, 2)}.values());
  EXPECT_GT(failing.n_loads(), 215);
}

TEST(AnalyzeDeterminism, AKilledAnalysisGoesOnToTheSameBits) {
  Problem problem(large());
  problem.options.metrics.permutations = 100;
  const Bits expected{run(problem, 1)};
  const std::int64_t small = memory_of(problem, 3).minimum_bytes + core::MemoryBudget::kBaseBytes;
  RecordingObserver whole;
  run(problem, 3, small, &whole);
  int n_kills = 0;
  for (int saves = 1;; saves += 1 + saves / (test::kSanitized ? 1 : 4), ++n_kills) {
    test::MemoryUnits units;
    units.saves_left = saves;
    try {
      run(problem, 2, small, nullptr, &units);
      break;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::kInterrupted);
    }
    // In another budget, what is left is packed in another way.
    const bool packed_alike = n_kills % 2 == 0;
    RecordingObserver again;
    const Bits bits{run(problem, 3, packed_alike ? small : testing::kAmple, &again, &units)};
    EXPECT_EQ(bits.values(), expected.values()) << saves;
    // What is done is not scanned again, not even the first rows of a scan.
    if (packed_alike) {
      EXPECT_GE(units.n_loaded, 1) << saves;
      EXPECT_LT(again.done, whole.done) << saves;
    }
  }
  EXPECT_GE(n_kills, test::kSanitized ? 1 : 3);
}

TEST(AnalyzeDeterminism, WhatIsKeptOfOtherSumsLeavesNoneBehind) {
  const Problem problem(large());
  const Bits expected{run(problem, 1)};
  const std::int64_t small = memory_of(problem, 2).minimum_bytes + core::MemoryBudget::kBaseBytes;
  for (const std::size_t missing : {std::size_t{8}, std::size_t{100'000}}) {
    test::MemoryUnits units;
    units.saves_left = 1;
    EXPECT_THROW(run(problem, 2, small, nullptr, &units), Error);
    units.cut("open sums of train", missing);
    EXPECT_EQ(Bits{run(problem, 2, small, nullptr, &units)}.values(), expected.values());
    EXPECT_EQ(units.n_refused, 1);
    EXPECT_EQ(units.n_loaded, 0);
  }
}

TEST(AnalyzeDeterminism, OtherSeedsOtherPermutations) {
  Problem problem;
  const AnalysisResult first = run(problem);
  problem.options.seed += 1;
  const AnalysisResult second = run(problem);
  EXPECT_NE(first.cells[0].train.random_baseline_mean, second.cells[0].train.random_baseline_mean);
  EXPECT_EQ(first.cells[0].train.variance_ratio, second.cells[0].train.variance_ratio);
}

}  // namespace
}  // namespace phase0::analysis
