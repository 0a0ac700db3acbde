#include "analysis/analyze.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "analysis/brute_force.h"
#include "analysis/problem.h"
#include "analysis/streams.h"
#include "analysis/student.h"

namespace phase0::analysis {
namespace {

using testing::included_rows;
using testing::labelled;
using testing::Labelled;
using testing::Problem;
using testing::TestSplit;

constexpr double kTolerance = 1e-10;

void expect_close(const std::optional<double>& actual, double expected, const std::string& what) {
  ASSERT_TRUE(actual) << what;
  EXPECT_NEAR(*actual, expected, kTolerance * (1 + std::abs(expected))) << what;
}

const SliceOptions& slice_of(const Problem& problem, const std::string& name) {
  return *std::find_if(problem.options.slices.begin(), problem.options.slices.end(),
                       [&](const SliceOptions& slice) { return slice.name == name; });
}

std::size_t cell_of(const Problem& problem, const std::string& condition) {
  return condition == problem.input.cells[0].condition.name ? 0 : 1;
}

std::vector<double> speaker_ratios(const Labelled& data, const std::vector<std::int64_t>& rows) {
  std::vector<double> ratios;
  for (std::int32_t speaker = 0; speaker < 6; ++speaker) {
    const auto own =
        testing::filter(rows, [&](std::int64_t row) { return data.split.speaker[row] == speaker; });
    if (own.size() >= 50) ratios.push_back(testing::variance_ratio(data, own));
  }
  return ratios;
}

void check_split(const SplitMetrics& metrics, const Labelled& data, const SliceOptions& slice) {
  const auto rows = included_rows(data, slice);
  std::int64_t total = 0;
  for (std::int64_t row = 0; row < data.split.n_rows(); ++row)
    total += testing::in_slice(slice, data.split, row);
  const auto n = static_cast<double>(rows.size());
  EXPECT_EQ(metrics.n_samples, static_cast<std::int64_t>(rows.size()));
  EXPECT_EQ(metrics.n_samples_total, total);
  expect_close(metrics.excluded_mass, 1 - n / static_cast<double>(total), "excluded_mass");
  const auto sums = testing::sums_of_squares(data, rows);
  expect_close(metrics.variance_ratio, sums.within / sums.total, "variance_ratio");
  expect_close(metrics.variance_ratio_adjusted,
               (sums.within / (n - static_cast<double>(sums.clusters))) / (sums.total / (n - 1)), "adjusted");
  const double h = testing::entropy(data, rows);
  const double hc = testing::conditional_entropy(data, rows);
  expect_close(metrics.entropy_unconditional, h, "entropy");
  expect_close(metrics.entropy_conditional, hc, "conditional entropy");
  expect_close(metrics.entropy_reduction_nats, h - hc, "nats");
  expect_close(metrics.entropy_reduction_nats_per_dim, (h - hc) / 70, "nats per dim");
  ASSERT_TRUE(metrics.entropy_reduction);
  EXPECT_NEAR(*metrics.entropy_reduction * h, h - hc, 1e-9);
  const auto ratios = speaker_ratios(data, rows);
  EXPECT_EQ(metrics.n_speakers, static_cast<std::int64_t>(ratios.size()));
  const auto summary = summarise(ratios);
  ASSERT_EQ(metrics.speaker_mean.has_value(), summary.mean.has_value());
  if (summary.mean) expect_close(metrics.speaker_mean, *summary.mean, "speaker_mean");
  if (summary.std) expect_close(metrics.speaker_std, *summary.std, "speaker_std");
  if (summary.ci_lower) expect_close(metrics.speaker_ci_lower, *summary.ci_lower, "speaker_ci_lower");
  if (summary.ci_upper) expect_close(metrics.speaker_ci_upper, *summary.ci_upper, "speaker_ci_upper");
}

TEST(Analyze, CellsEqualBruteForce) {
  const Problem problem;
  const AnalysisResult result = run(problem);
  ASSERT_EQ(result.cells.size(), 6U);  // two cells, three slices that are not empty
  const std::vector<std::string> order = {"all", "loud", "middle"};
  bool some_excluded = false;
  bool some_speakers = false;
  for (std::size_t i = 0; i < result.cells.size(); ++i) {
    const CellMetrics& cell = result.cells[i];
    SCOPED_TRACE(cell.condition + " " + cell.slice);
    EXPECT_EQ(cell.condition, i < 3 ? "first" : "second");
    EXPECT_EQ(cell.lag, i < 3 ? 1 : 2);
    EXPECT_EQ(cell.slice, order[i % 3]);
    EXPECT_EQ(cell.type, i < 3 ? ConditionType::kMeanPoolVq : ConditionType::kPcaVq);
    const auto train = labelled(problem, problem.train, i / 3);
    const auto eval = labelled(problem, problem.eval, i / 3);
    check_split(cell.train, train, slice_of(problem, cell.slice));
    check_split(cell.eval, eval, slice_of(problem, cell.slice));
    EXPECT_EQ(cell.n_effective_clusters, std::count(train.effective.begin(), train.effective.end(), true));
    expect_close(cell.cross_speaker_degradation,
                 (*cell.eval.variance_ratio - *cell.train.variance_ratio) / *cell.train.variance_ratio,
                 "degradation");
    some_excluded = some_excluded || *cell.train.excluded_mass > 0;
    some_speakers = some_speakers || cell.train.n_speakers >= 2;
  }
  EXPECT_TRUE(some_excluded);
  EXPECT_TRUE(some_speakers);
}

/// A feature that stood still for the train speakers and drifts for the others, and one with another level.
TEST(Analyze, SplitsFarFromTheTrainMeanKeepTheirDigits) {
  Problem problem;
  const std::int64_t dim = 70;
  for (std::int64_t row = 0; row < problem.eval.n_rows(); ++row) {
    problem.eval.delta[static_cast<std::size_t>(row * dim + 3)] = 1000;
    problem.eval.delta[static_cast<std::size_t>(row * dim + 4)] += 1e5F;
  }
  problem.input.sigma[3] = 1e-6;
  problem.eval.delta[5 * dim + 6] = 1e10F;  // one far row must not move the centre of the others
  const AnalysisResult result = run(problem);
  for (std::size_t i = 0; i < 6; ++i) {
    const CellMetrics& cell = result.cells[i];
    SCOPED_TRACE(cell.condition + " " + cell.slice);
    check_split(cell.eval, labelled(problem, problem.eval, i / 3), slice_of(problem, cell.slice));
  }
}

TEST(Analyze, ClusterSizesAndVariancesEqualBruteForce) {
  const Problem problem;
  const AnalysisResult result = run(problem);
  std::size_t at = 0;
  for (std::size_t c = 0; c < 2; ++c) {
    std::vector<std::int64_t> sizes;
    const auto train = labelled(problem, problem.train, c);
    const auto eval = labelled(problem, problem.eval, c);
    for (std::int32_t id = 0; id < problem.input.cells[c].n_clusters; ++id) {
      const auto of_id = [&](const Labelled& data) {
        std::vector<std::int64_t> rows;
        for (std::int64_t row = 0; row < data.split.n_rows(); ++row) {
          if (data.ids[static_cast<std::size_t>(row)] == id) rows.push_back(row);
        }
        return rows;
      };
      const auto train_rows = of_id(train);
      const auto eval_rows = of_id(eval);
      if (!train_rows.empty()) sizes.push_back(static_cast<std::int64_t>(train_rows.size()));
      if (train_rows.empty() && eval_rows.empty()) continue;
      ASSERT_LT(at, result.clusters.size());
      const ClusterMetrics& cluster = result.clusters[at++];
      EXPECT_EQ(cluster.cluster, id);
      EXPECT_EQ(cluster.lag, static_cast<std::int64_t>(c + 1));
      EXPECT_EQ(cluster.train_count, static_cast<std::int64_t>(train_rows.size()));
      EXPECT_EQ(cluster.eval_count, static_cast<std::int64_t>(eval_rows.size()));
      EXPECT_EQ(cluster.effective, train.effective[static_cast<std::size_t>(id)]);
      EXPECT_EQ(cluster.train_variance.has_value(), cluster.effective);
      if (!cluster.effective) continue;
      expect_close(cluster.train_variance, testing::mean_variance(train, train_rows), "train variance");
      expect_close(cluster.eval_variance, testing::mean_variance(eval, eval_rows), "eval variance");
    }
    std::sort(sizes.begin(), sizes.end());
    const ClusterStats& stats = result.cells[3 * c].cluster_stats;
    EXPECT_EQ(stats.n_clusters, problem.input.cells[c].n_clusters);
    EXPECT_EQ(stats.n_occupied, static_cast<std::int64_t>(sizes.size()));
    EXPECT_EQ(stats.min_size, sizes.front());
    EXPECT_EQ(stats.max_size, sizes.back());
    const std::size_t half = sizes.size() / 2;
    EXPECT_EQ(stats.median_size, sizes.size() % 2 == 1
                                     ? static_cast<double>(sizes[half])
                                     : static_cast<double>(sizes[half - 1] + sizes[half]) / 2);
  }
  EXPECT_EQ(at, result.clusters.size());
}

TEST(Analyze, ConfidenceCurveEqualsBruteForceWithTies) {
  const Problem problem;
  const AnalysisResult result = run(problem);
  ASSERT_EQ(result.confidence.size(), 2U * 3 * 2 * 10);
  for (std::size_t i = 0; i < result.confidence.size(); ++i) {
    const ConfidencePoint& point = result.confidence[i];
    SCOPED_TRACE(point.condition + " " + point.slice + " " + point.split + " " +
                 std::to_string(point.percent));
    EXPECT_EQ(point.percent, static_cast<int>(i % 10 + 1) * 10);
    EXPECT_EQ(point.split, i / 10 % 2 == 0 ? "train" : "eval");
    const TestSplit& split = point.split == "train" ? problem.train : problem.eval;
    const std::size_t c = cell_of(problem, point.condition);
    const auto data = labelled(problem, split, c);
    auto rows = included_rows(data, slice_of(problem, point.slice));
    std::stable_sort(rows.begin(), rows.end(), [&](std::int64_t a, std::int64_t b) {
      return split.distances[c][static_cast<std::size_t>(a)] <
             split.distances[c][static_cast<std::size_t>(b)];
    });
    rows.resize((rows.size() * static_cast<std::size_t>(point.percent) + 99) / 100);
    EXPECT_EQ(point.n_samples, static_cast<std::int64_t>(rows.size()));
    EXPECT_EQ(point.max_distance,
              static_cast<double>(split.distances[c][static_cast<std::size_t>(rows.back())]));
    expect_close(point.variance_ratio, testing::variance_ratio(data, rows), "variance_ratio");
  }
}

TEST(Analyze, SpeakersEqualBruteForce) {
  const Problem problem;
  const AnalysisResult result = run(problem);
  ASSERT_FALSE(result.speakers.empty());
  std::size_t at = 0;
  for (const CellMetrics& cell : result.cells) {
    for (const char* name : {"train", "eval"}) {
      const TestSplit& split = std::string(name) == "train" ? problem.train : problem.eval;
      const auto data = labelled(problem, split, cell_of(problem, cell.condition));
      const auto rows = included_rows(data, slice_of(problem, cell.slice));
      for (std::int32_t speaker = 0; speaker < 6; ++speaker) {
        const auto own =
            testing::filter(rows, [&](std::int64_t row) { return split.speaker[row] == speaker; });
        if (own.size() < 50) continue;
        ASSERT_LT(at, result.speakers.size());
        const SpeakerMetrics& metrics = result.speakers[at++];
        EXPECT_EQ(metrics.speaker, "speaker" + std::to_string(speaker));
        EXPECT_EQ(metrics.split, name);
        EXPECT_EQ(metrics.slice, cell.slice);
        EXPECT_EQ(metrics.n_samples, static_cast<std::int64_t>(own.size()));
        expect_close(metrics.variance_ratio, testing::variance_ratio(data, own),
                     "speaker " + metrics.speaker);
      }
    }
  }
  EXPECT_EQ(at, result.speakers.size());
}

/// The ratios of the permutations, from labels that this cell alone draws in the documented order of the
/// rows.
std::vector<double> permuted_ratios(const Problem& problem, const TestSplit& split, const std::string& name,
                                    std::size_t c, const SliceOptions& slice) {
  Labelled data = labelled(problem, split, c);
  std::vector<std::int64_t> counts;
  for (std::size_t id = 0; id < data.effective.size(); ++id) {
    if (data.effective[id]) {
      counts.push_back(std::count(data.ids.begin(), data.ids.end(), static_cast<std::int32_t>(id)));
    }
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(split.n_rows()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return split.speaker[static_cast<std::size_t>(a)] < split.speaker[static_cast<std::size_t>(b)];
  });
  data.effective.assign(counts.size() + 1, true);
  data.effective.back() = false;
  std::vector<double> ratios;
  for (std::int64_t p = 0; p < problem.options.metrics.permutations; ++p) {
    LabelSampler sampler = permutation_sampler(problem.options.seed, name, p, counts, split.n_rows());
    for (const std::int64_t row : order) {
      const std::int32_t label = sampler.next();
      data.ids[static_cast<std::size_t>(row)] = label < 0 ? static_cast<std::int32_t>(counts.size()) : label;
    }
    ratios.push_back(testing::variance_ratio(data, included_rows(data, slice)));
  }
  return ratios;
}

TEST(Analyze, RandomBaselineEqualsBruteForceOverThePermutedIds) {
  Problem problem(testing::Shape{.signal = 0.05});  // weak, so that the p-values are not all the smallest
  const AnalysisResult result = run(problem);
  bool p_values_differ = false;
  for (const CellMetrics& cell : result.cells) {
    for (const char* name : {"train", "eval"}) {
      SCOPED_TRACE(cell.condition + " " + cell.slice + " " + name);
      const bool train = std::string(name) == "train";
      const SplitMetrics& metrics = train ? cell.train : cell.eval;
      const auto ratios = permuted_ratios(problem, train ? problem.train : problem.eval, name,
                                          cell_of(problem, cell.condition), slice_of(problem, cell.slice));
      const auto summary = summarise(ratios);
      expect_close(metrics.random_baseline_mean, *summary.mean, "mean");
      expect_close(metrics.random_baseline_std, *summary.std, "std");
      EXPECT_GT(*metrics.random_baseline_std, 0);
      const auto as_low = std::count_if(ratios.begin(), ratios.end(),
                                        [&](double ratio) { return ratio <= *metrics.variance_ratio; });
      expect_close(metrics.random_baseline_p_value, (1.0 + static_cast<double>(as_low)) / 6, "p");
      p_values_differ = p_values_differ || as_low > 0;
    }
  }
  EXPECT_TRUE(p_values_differ);
}

TEST(Analyze, PermutedBaselineFollowsDegreesOfFreedom) {
  Problem problem(testing::Shape{.utterances = 120});
  problem.options.metrics.permutations = 40;
  const AnalysisResult result = run(problem);
  for (const CellMetrics& cell : result.cells) {
    if (cell.slice != "all") continue;
    const auto n = static_cast<double>(cell.train.n_samples);
    const double expected = (n - static_cast<double>(cell.n_effective_clusters)) / (n - 1);
    const double error = *cell.train.random_baseline_std / std::sqrt(40);
    EXPECT_NEAR(*cell.train.random_baseline_mean, expected, 4 * error);
    EXPECT_LT(*cell.train.variance_ratio, 0.9);  // the true ids do explain something
    EXPECT_DOUBLE_EQ(*cell.train.random_baseline_p_value, 1.0 / 41);
  }
}

TEST(Analyze, NoPermutationsNoBaseline) {
  Problem problem;
  problem.options.metrics.permutations = 0;
  for (const CellMetrics& cell : run(problem).cells) {
    EXPECT_FALSE(cell.train.random_baseline_mean);
    EXPECT_FALSE(cell.eval.random_baseline_std);
    EXPECT_FALSE(cell.eval.random_baseline_p_value);
    EXPECT_TRUE(cell.train.variance_ratio);
  }
}

TEST(Analyze, MoreCombinationsThanSlicesGiveTheSameFigures) {
  Problem problem;  // no slice of all rows: seven combinations of three slices
  problem.options.slices = {{"loud", SliceFilterKind::kEnergyAboveMedian, 0, 1},
                            {"early", SliceFilterKind::kPosFrac, 0.0, 0.6},
                            {"late", SliceFilterKind::kPosFrac, 0.5, 1.0}};
  const AnalysisResult result = run(problem);
  ASSERT_EQ(result.cells.size(), 6U);
  for (const CellMetrics& cell : result.cells) {
    SCOPED_TRACE(cell.condition + " " + cell.slice);
    const std::size_t c = cell_of(problem, cell.condition);
    check_split(cell.train, labelled(problem, problem.train, c), slice_of(problem, cell.slice));
    check_split(cell.eval, labelled(problem, problem.eval, c), slice_of(problem, cell.slice));
  }
  for (const ClusterMetrics& cluster : result.clusters) EXPECT_FALSE(cluster.train_variance);
}

TEST(Analyze, WarnsOncePerEmptySlice) {
  const Problem problem;
  testing::RecordingObserver observer;
  run(problem, 1, testing::kAmple, &observer);
  ASSERT_EQ(observer.warnings.size(), 1U);
  EXPECT_NE(observer.warnings[0].find("never"), std::string::npos);
}

TEST(Analyze, NothingEffectiveLeavesEverythingUndefined) {
  Problem problem;
  problem.options.clustering.min_cluster_size = 1000000;
  const AnalysisResult result = run(problem);
  ASSERT_EQ(result.cells.size(), 6U);
  for (const CellMetrics& cell : result.cells) {
    EXPECT_EQ(cell.n_effective_clusters, 0);
    EXPECT_EQ(cell.train.n_samples, 0);
    EXPECT_EQ(cell.train.excluded_mass, 1.0);
    EXPECT_FALSE(cell.train.variance_ratio);
    EXPECT_FALSE(cell.train.variance_ratio_adjusted);
    EXPECT_FALSE(cell.train.entropy_unconditional);
    EXPECT_FALSE(cell.train.random_baseline_mean);
    EXPECT_FALSE(cell.train.speaker_mean);
    EXPECT_FALSE(cell.cross_speaker_degradation);
  }
  for (const ConfidencePoint& point : result.confidence)
    EXPECT_FALSE(point.variance_ratio || point.max_distance);
  EXPECT_FALSE(result.decision.pass);
}

TEST(Analyze, EqualRowsHaveNoRatio) {
  Problem problem;
  std::fill(problem.eval.delta.begin(), problem.eval.delta.end(), 0.3F);
  const AnalysisResult result = run(problem);
  for (const CellMetrics& cell : result.cells) {
    EXPECT_FALSE(cell.eval.variance_ratio);
    EXPECT_FALSE(cell.eval.variance_ratio_adjusted);
    EXPECT_FALSE(cell.eval.random_baseline_mean);
    EXPECT_FALSE(cell.cross_speaker_degradation);
    EXPECT_EQ(cell.eval.n_speakers, 0);
    ASSERT_TRUE(cell.eval.entropy_reduction_nats);
    EXPECT_NEAR(*cell.eval.entropy_reduction_nats, 0, 1e-9);
  }
}

TEST(Analyze, RefusesBadIdsAndDistances) {
  Problem ids;
  ids.train.ids[0][5] = 6;
  ids.input.cells[0].train.cluster = testing::mapped(ids.train.ids[0]);
  Problem distances;
  distances.eval.distances[1][7] = std::nanf("");
  std::fill(distances.eval.ids[1].begin(), distances.eval.ids[1].end(), 0);
  distances.input.cells[1].eval = {testing::mapped(distances.eval.ids[1]),
                                   testing::mapped(distances.eval.distances[1])};
  for (const Problem* problem : {&ids, &distances}) {
    try {
      run(*problem);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_GE(error.place().frame, 0);
    }
  }
}

TEST(Analyze, StopsWhenAsked) {
  const Problem problem;
  testing::RecordingObserver observer;
  observer.stop = true;
  try {
    run(problem, 1, testing::kAmple, &observer);
    ADD_FAILURE() << "did not stop";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInterrupted);
  }
}

}  // namespace
}  // namespace phase0::analysis
