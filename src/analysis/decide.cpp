#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/analyze.h"

namespace phase0::analysis {
namespace {

/// How much more than the threshold a slice other than `all` may leave unexplained.
constexpr double kSliceAllowance = 0.05;

/// Collects the reasons of one condition.
class Judge {
 public:
  explicit Judge(const MetricOptions& limits) : limits_(limits) {}

  void ratio(const std::string& name, const std::optional<double>& value, double limit) {
    if (!value) {
      fail("{} is undefined", name);
    } else if (!(*value <= limit)) {
      fail("{} {:.6g} is above the threshold {:.6g}", name, *value, limit);
    }
  }
  void degradation(const std::optional<double>& value) {
    const double limit = limits_.cross_speaker_degradation_max;
    if (!value) {
      fail("cross-speaker degradation is undefined");
    } else if (!(*value <= limit)) {
      fail("cross-speaker degradation {:.6g} is above the maximum {:.6g}", *value, limit);
    }
  }
  void baseline(const char* split, const std::optional<double>& value) {
    const double tolerance = limits_.random_baseline_tolerance;
    if (!value) {
      fail("{} random baseline is undefined", split);
    } else if (!(std::abs(*value - 1) <= tolerance)) {
      fail("{} random baseline {:.6g} differs from 1 by more than {:.6g}", split, *value, tolerance);
    }
  }
  template <typename... Args>
  void fail(fmt::format_string<Args...> format, Args&&... args) {
    reasons_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  std::vector<std::string>& reasons() { return reasons_; }

 private:
  const MetricOptions& limits_;
  std::vector<std::string> reasons_;
};

void judge_main_slice(const MetricOptions& limits, const CellMetrics& cell, Judge& judge) {
  judge.ratio("train variance ratio", cell.train.variance_ratio, limits.variance_ratio_threshold);
  judge.ratio("eval variance ratio", cell.eval.variance_ratio, limits.variance_ratio_threshold);
  judge.degradation(cell.cross_speaker_degradation);
  if (limits.permutations == 0) {
    judge.fail("no random baseline was computed (metrics.permutations is 0)");
    return;
  }
  judge.baseline("train", cell.train.random_baseline_mean);
  judge.baseline("eval", cell.eval.random_baseline_mean);
}

void judge_other_slice(const MetricOptions& limits, const CellMetrics& cell, Judge& judge) {
  const double limit = limits.variance_ratio_threshold + kSliceAllowance;
  judge.ratio("slice " + cell.slice + ": train variance ratio", cell.train.variance_ratio, limit);
  judge.ratio("slice " + cell.slice + ": eval variance ratio", cell.eval.variance_ratio, limit);
}

/// Lag 1, or the smallest one.
std::int64_t decision_lag(const Options& options) {
  const auto& lags = options.context.lags;
  if (lags.empty() || std::find(lags.begin(), lags.end(), 1) != lags.end()) return 1;
  return *std::min_element(lags.begin(), lags.end());
}

std::vector<std::string> judge_condition(const Options& options, const std::string& condition,
                                         const std::vector<CellMetrics>& cells) {
  const std::int64_t lag = decision_lag(options);
  const auto main_slice =
      std::find_if(options.slices.begin(), options.slices.end(),
                   [](const SliceOptions& slice) { return slice.filter == SliceFilterKind::kAll; });
  Judge judge(options.metrics);
  bool judged = false;
  for (const CellMetrics& cell : cells) {
    if (cell.condition != condition || cell.lag != lag) continue;
    if (main_slice != options.slices.end() && cell.slice == main_slice->name) {
      judge_main_slice(options.metrics, cell, judge);
      judged = true;
    } else {
      judge_other_slice(options.metrics, cell, judge);
    }
  }
  if (main_slice == options.slices.end()) {
    judge.fail("no slice of all rows is configured");
  } else if (!judged) {
    judge.fail("slice {} has no rows", main_slice->name);
  }
  if (lag != 1 && !judge.reasons().empty()) {
    judge.reasons().front() += fmt::format(" (lag 1 is not configured, decided at lag {})", lag);
  }
  return std::move(judge.reasons());
}

}  // namespace

Decision decide(const Options& options, const std::vector<CellMetrics>& cells) {
  Decision decision;
  for (const ConditionOptions& condition : options.clustering.conditions) {
    ConditionDecision verdict;
    verdict.condition = condition.name;
    verdict.reasons = judge_condition(options, condition.name, cells);
    verdict.pass = verdict.reasons.empty();
    decision.pass = decision.pass || verdict.pass;
    decision.conditions.push_back(std::move(verdict));
  }
  return decision;
}

}  // namespace phase0::analysis
