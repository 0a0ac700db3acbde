#include <gtest/gtest.h>

#include "analysis/analyze.h"

namespace phase0::analysis {
namespace {

/// One condition that passes at lags 1 and 2 in slices `all` and `loud`.
struct Case {
  Case() {
    options.context.lags = {2, 1};
    options.clustering.conditions = {{"a", ConditionType::kMeanPoolVq, 4, 0}};
    options.slices = {{"loud", SliceFilterKind::kEnergyAboveMedian, 0, 1},
                      {"all", SliceFilterKind::kAll, 0, 1}};
    for (const std::int64_t lag : {2, 1}) {
      for (const char* slice : {"loud", "all"}) cells.push_back(cell(lag, slice));
    }
  }
  static CellMetrics cell(std::int64_t lag, const char* slice) {
    CellMetrics cell;
    cell.condition = "a";
    cell.lag = lag;
    cell.slice = slice;
    for (SplitMetrics* split : {&cell.train, &cell.eval}) {
      split->variance_ratio = 0.5;
      split->random_baseline_mean = 0.99;
    }
    cell.cross_speaker_degradation = 0.1;
    return cell;
  }
  CellMetrics& loud() { return cells[2]; }  // at lag 1
  CellMetrics& all() { return cells[3]; }
  std::vector<std::string> reasons() const {
    const Decision decision = decide(options, cells);
    EXPECT_EQ(decision.conditions.size(), 1U);
    EXPECT_EQ(decision.pass, decision.conditions[0].pass);
    EXPECT_EQ(decision.pass, decision.conditions[0].reasons.empty());
    return decision.conditions[0].reasons;
  }

  Options options;
  std::vector<CellMetrics> cells;
};

using Reasons = std::vector<std::string>;

TEST(Decide, Passes) {
  Case c;
  EXPECT_EQ(c.reasons(), Reasons{});
  c.all().train.variance_ratio = c.all().eval.variance_ratio = 0.6;  // at the bounds
  c.all().cross_speaker_degradation = 0.2;
  c.loud().eval.variance_ratio = 0.64;
  EXPECT_EQ(c.reasons(), Reasons{});
}

TEST(Decide, OtherLagsDoNotCount) {
  Case c;
  c.cells[0].train.variance_ratio = c.cells[1].eval.variance_ratio = 2;
  EXPECT_EQ(c.reasons(), Reasons{});
}

TEST(Decide, VarianceRatios) {
  Case c;
  c.all().train.variance_ratio = 0.7;
  c.all().eval.variance_ratio = 0.713;
  EXPECT_EQ(c.reasons(), (Reasons{"train variance ratio 0.7 is above the threshold 0.6",
                                  "eval variance ratio 0.713 is above the threshold 0.6"}));
}

TEST(Decide, Degradation) {
  Case c;
  c.all().cross_speaker_degradation = 0.25;
  EXPECT_EQ(c.reasons(), Reasons{"cross-speaker degradation 0.25 is above the maximum 0.2"});
}

TEST(Decide, Baselines) {
  Case c;
  c.all().train.random_baseline_mean = 0.94;
  c.all().eval.random_baseline_mean = 1.06;
  EXPECT_EQ(c.reasons(), (Reasons{"train random baseline 0.94 differs from 1 by more than 0.05",
                                  "eval random baseline 1.06 differs from 1 by more than 0.05"}));
  c.options.metrics.permutations = 0;
  EXPECT_EQ(c.reasons(), Reasons{"no random baseline was computed (metrics.permutations is 0)"});
}

TEST(Decide, OtherSlicesHaveAnAllowance) {
  Case c;
  c.loud().train.variance_ratio = 0.66;
  c.loud().eval.variance_ratio.reset();
  EXPECT_EQ(c.reasons(), (Reasons{"slice loud: train variance ratio 0.66 is above the threshold 0.65",
                                  "slice loud: eval variance ratio is undefined"}));
}

TEST(Decide, UndefinedFiguresFail) {
  Case c;
  c.all() = Case::cell(1, "all");
  c.all().train = c.all().eval = {};
  c.all().cross_speaker_degradation.reset();
  EXPECT_EQ(c.reasons(),
            (Reasons{"train variance ratio is undefined", "eval variance ratio is undefined",
                     "cross-speaker degradation is undefined", "train random baseline is undefined",
                     "eval random baseline is undefined"}));
}

TEST(Decide, MissingSlices) {
  Case c;
  c.cells.pop_back();
  EXPECT_EQ(c.reasons(), Reasons{"slice all has no rows"});
  c.options.slices.pop_back();
  EXPECT_EQ(c.reasons(), Reasons{"no slice of all rows is configured"});
}

TEST(Decide, TheSmallestLagStandsInForLagOne) {
  Case c;
  c.options.context.lags = {4, 2};
  EXPECT_EQ(c.reasons(), Reasons{});
  c.cells[1].eval.variance_ratio = 0.8;  // slice all at lag 2
  EXPECT_EQ(
      c.reasons(),
      Reasons{
          "eval variance ratio 0.8 is above the threshold 0.6 (lag 1 is not configured, decided at lag 2)"});
}

TEST(Decide, AnyConditionPasses) {
  Case c;
  c.options.clustering.conditions.push_back({"b", ConditionType::kMeanPoolVq, 4, 0});
  for (CellMetrics cell : std::vector<CellMetrics>(c.cells)) {
    cell.condition = "b";
    c.cells.push_back(cell);
  }
  c.all().train.variance_ratio = 0.9;
  const Decision decision = decide(c.options, c.cells);
  EXPECT_TRUE(decision.pass);
  EXPECT_FALSE(decision.conditions[0].pass);
  EXPECT_TRUE(decision.conditions[1].pass);
}

}  // namespace
}  // namespace phase0::analysis
