#include "report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/number.h"

namespace phase0::report {
namespace {

template <typename Key>
std::vector<Key> distinct(const AnalysisResult& result, Key CellMetrics::*field) {
  std::vector<Key> keys;
  for (const CellMetrics& cell : result.cells) {
    if (std::find(keys.begin(), keys.end(), cell.*field) == keys.end()) keys.push_back(cell.*field);
  }
  return keys;
}

std::string plural(std::int64_t n, const std::string& noun) {
  return count(n) + " " + noun + (n == 1 ? "" : "s");
}

bool passes(const Decision& decision, const std::string& condition) {
  return std::any_of(decision.conditions.begin(), decision.conditions.end(),
                     [&](const ConditionDecision& c) { return c.pass && c.condition == condition; });
}

bool usable(const std::optional<double>& value) {
  return value && std::isfinite(*value);
}

}  // namespace

std::vector<std::string> condition_names(const AnalysisResult& result) {
  return distinct(result, &CellMetrics::condition);
}

std::vector<std::int64_t> lags_of(const AnalysisResult& result) {
  return distinct(result, &CellMetrics::lag);
}

std::vector<std::string> slice_names(const AnalysisResult& result) {
  return distinct(result, &CellMetrics::slice);
}

std::int64_t decision_lag(const AnalysisResult& result) {
  const std::vector<std::int64_t> lags = lags_of(result);
  return lags.empty() ? 1 : *std::min_element(lags.begin(), lags.end());
}

std::string decision_slice(const Options& options) {
  const auto unfiltered =
      std::find_if(options.slices.begin(), options.slices.end(),
                   [](const SliceOptions& slice) { return slice.filter == SliceFilterKind::kAll; });
  return unfiltered == options.slices.end() ? "all" : unfiltered->name;
}

double slice_threshold(const Options& options, const std::string& slice) {
  constexpr double kOtherSlices = 0.05;
  const double threshold = options.metrics.variance_ratio_threshold;
  return slice == decision_slice(options) ? threshold : threshold + kOtherSlices;
}

const CellMetrics* decision_cell(const Options& options, const AnalysisResult& result,
                                 const std::string& condition) {
  const std::int64_t lag = decision_lag(result);
  const std::string slice = decision_slice(options);
  const auto found = std::find_if(result.cells.begin(), result.cells.end(), [&](const CellMetrics& cell) {
    return cell.condition == condition && cell.lag == lag && cell.slice == slice;
  });
  return found == result.cells.end() ? nullptr : &*found;
}

const CellMetrics* best_cell(const Options& options, const AnalysisResult& result) {
  const CellMetrics* best = nullptr;
  for (const std::string& name : condition_names(result)) {
    if (result.decision.pass && !passes(result.decision, name)) continue;
    const CellMetrics* cell = decision_cell(options, result, name);
    if (cell == nullptr || !usable(cell->eval.variance_ratio)) continue;
    if (best == nullptr || *cell->eval.variance_ratio < *best->eval.variance_ratio) best = cell;
  }
  return best;
}

std::string verdict(const Decision& decision) {
  const auto n = static_cast<std::int64_t>(decision.conditions.size());
  const std::int64_t n_pass = std::count_if(decision.conditions.begin(), decision.conditions.end(),
                                            [](const ConditionDecision& c) { return c.pass; });
  if (n == 0) return "No condition was evaluated.";
  if (n_pass == 0)
    return n == 1 ? "The only condition does not meet every requirement."
                  : fmt::format("None of the {} conditions meets every requirement.", n);
  if (n == 1) return "The only condition meets every requirement.";
  return fmt::format("{} of {} conditions {} every requirement.", n_pass, n, n_pass == 1 ? "meets" : "meet");
}

std::string best_sentence(const Options& options, const AnalysisResult& result) {
  const CellMetrics* best = best_cell(options, result);
  if (best == nullptr) return {};
  const double left = *best->eval.variance_ratio;
  const double threshold = options.metrics.variance_ratio_threshold;
  const std::string effect =
      left < 1.0
          ? fmt::format("explains {} of the variance of the next change for unseen speakers and leaves {}",
                        percent(1.0 - left), percent(left))
          : fmt::format("explains none of the variance of the next change for unseen speakers: {} remains",
                        percent(left));
  return fmt::format("The best description, {}, {}; to pass, at most {} may be left (lag {}, slice {}).",
                     best->condition, effect, percent(threshold), best->lag, best->slice);
}

std::string question() {
  return "Given sequences of latent frames (speech codec latents, sentence embeddings, ...), grouped by "
         "speaker or by any other group: does a coarse description of the recent context predict the next "
         "change of the latent, for speakers never seen in training?";
}

std::vector<std::string> requirements(const Options& options) {
  const MetricOptions& m = options.metrics;
  const std::string slice = decision_slice(options);
  return {fmt::format("The variance ratio is at most {} on train and on eval (slice {}, lag 1).",
                      shortest(m.variance_ratio_threshold), slice),
          fmt::format("It is at most {} worse on eval than on train (cross-speaker degradation).",
                      percent(m.cross_speaker_degradation_max, 0)),
          fmt::format("The random baselines are within {} of 1: shuffled cluster labels explain nothing.",
                      shortest(m.random_baseline_tolerance)),
          fmt::format("In every other slice at lag 1 both variance ratios are at most {}.",
                      compact(slice_threshold(options, {}), 6))};
}

std::vector<NamedFact> data_facts(const Options& options, const RunFacts& facts) {
  std::string lags;
  for (const std::int64_t lag : options.context.lags)
    lags += (lags.empty() ? "" : ", ") + std::to_string(lag);
  const double window_sec =
      facts.frame_rate_hz > 0 ? static_cast<double>(options.context.window_size) / facts.frame_rate_hz : 0.0;
  const auto split = [](std::int64_t speakers, std::int64_t utterances, std::int64_t rows) {
    return plural(speakers, "speaker") + ", " + plural(utterances, "utterance") + ", " +
           plural(rows, "sample row");
  };
  return {{"Input", facts.input_path},
          {"Frames",
           fmt::format("{} numbers each, {} per second", count(facts.dim), compact(facts.frame_rate_hz, 6))},
          {"Context window",
           fmt::format("{} ({} s)", plural(options.context.window_size, "frame"), compact(window_sec, 3))},
          {"Lags",
           lags + (options.context.lags.size() == 1 && options.context.lags[0] == 1 ? " frame" : " frames")},
          {"Train", split(facts.n_speakers_train, facts.n_utterances_train, facts.n_rows_train)},
          {"Eval", split(facts.n_speakers_eval, facts.n_utterances_eval, facts.n_rows_eval)},
          {"Smallest cluster counted", plural(options.clustering.min_cluster_size, "train row")},
          {"Seed", std::to_string(options.seed)},
          {"Feature storage", facts.storage},
          {"Version", "phase0 " + facts.version}};
}

std::vector<FileNote> files() {
  return {{"report.html", "this report with charts and a glossary"},
          {"tables.csv", "one row per condition, lag and slice, with every figure"},
          {"metrics.csv, metrics.json", "the same figures, one per line and nested"},
          {"speakers.csv", "the variance ratio inside each speaker"},
          {"clusters.csv", "size and variance of each cluster"},
          {"confidence.csv", "the variance ratio over the rows closest to their centroid"},
          {"pca.csv, kmeans.csv", "how the descriptions were fitted"},
          {"decision.json", "the verdict, its reasons and thresholds"},
          {"run.json, config.yaml", "provenance and the resolved configuration"}};
}

}  // namespace phase0::report
