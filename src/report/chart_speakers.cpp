#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.h"
#include "report/number.h"
#include "report/panel.h"
#include "report/summary.h"

namespace phase0::report {
namespace {

constexpr double kSpeakersRow = 30;
constexpr std::size_t kMinForBox = 5;

using Speakers = std::vector<const SpeakerMetrics*>;

Speakers select(const AnalysisResult& result, const std::string& condition, std::int64_t lag,
                const std::string& slice, const char* split) {
  Speakers chosen;
  for (const SpeakerMetrics& s : result.speakers) {
    if (s.condition == condition && s.lag == lag && s.slice == slice && s.split == split &&
        s.variance_ratio && std::isfinite(*s.variance_ratio)) {
      chosen.push_back(&s);
    }
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const auto* a, const auto* b) { return *a->variance_ratio < *b->variance_ratio; });
  return chosen;
}

/// Linear-interpolated percentile of sorted speakers.
double percentile(const Speakers& speakers, double share) {
  const double at = share * static_cast<double>(speakers.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, speakers.size() - 1);
  const double low = *speakers[below]->variance_ratio;
  return low + (at - static_cast<double>(below)) * (*speakers[above]->variance_ratio - low);
}

void draw_box(Panel& panel, const Speakers& speakers, const SplitLook& look, double y) {
  if (speakers.size() < kMinForBox) return;
  const auto x = [&](double share) { return panel.x().at(percentile(speakers, share)); };
  panel.svg().line({x(0.05), y}, {x(0.25), y}, "whisker");
  panel.svg().line({x(0.75), y}, {x(0.95), y}, "whisker");
  const std::string text = fmt::format("{}: {} speakers, median {}, half of them between {} and {}",
                                       look.name, speakers.size(), fixed(percentile(speakers, 0.5)),
                                       fixed(percentile(speakers, 0.25)), fixed(percentile(speakers, 0.75)));
  panel.svg().rect({x(0.25), y - 8}, std::max(1.0, x(0.75) - x(0.25)), 16, "box", text);
  panel.svg().line({x(0.5), y - 10}, {x(0.5), y + 10}, "median");
}

void draw_row(Panel& panel, const Speakers& speakers, const SplitLook& look, double y) {
  panel.svg().text({kRowsLeft - 8, y + 3.5}, Anchor::kEnd, "tick", look.name);
  if (speakers.empty()) {
    panel.svg().text({kRowsLeft + 6, y + 3.5}, Anchor::kStart, "tick", "no speaker with enough rows");
    return;
  }
  // Spread over the row in a fixed pattern, so that equal ratios do not hide one another.
  const std::size_t n = std::min(speakers.size(), kMaxMarks);
  for (std::size_t i = 0; i < n; ++i) {
    const SpeakerMetrics& s = *speakers[n == 1 ? 0 : i * (speakers.size() - 1) / (n - 1)];
    const double shift =
        speakers.size() == 1 ? 0.0 : -8.0 + 16.0 * std::fmod(0.618033988749895 * static_cast<double>(i), 1.0);
    panel.svg().marker(Marker::kCircle, {panel.x().at(*s.variance_ratio), y + shift}, n > 60 ? 1.8 : 2.6,
                       std::string(look.fill) + " dot",
                       fmt::format("speaker {} ({}): {}, {} rows", s.speaker, look.name,
                                   fixed(s.variance_ratio), count(s.n_samples)));
  }
  draw_box(panel, speakers, look, y);
}

/// The ratios of the drawn speakers and 1, and the threshold where it is near them: far away, it would leave
/// the clouds too narrow to be told apart.
Extent ratio_extent(const Options& options, const AnalysisResult& result, const std::string& slice) {
  Extent extent;
  extent.add(1.0);
  for (const SpeakerMetrics& s : result.speakers) {
    if (s.slice == slice && s.variance_ratio) extent.add(*s.variance_ratio);
  }
  const double threshold = options.metrics.variance_ratio_threshold;
  if (threshold > extent.lo() - 0.5 * (extent.hi() - extent.lo())) extent.add(threshold);
  return extent;
}

bool shows_threshold(const Options& options, const Extent& extent) {
  const double threshold = options.metrics.variance_ratio_threshold;
  return extent.lo() <= threshold && threshold <= extent.hi();
}

std::string lag_panel(const Options& options, const AnalysisResult& result, std::int64_t lag,
                      const Extent& extent) {
  const std::vector<std::string> conditions = condition_names(result);
  const std::string slice = decision_slice(options);
  const double height =
      kRowsFrame + static_cast<double>(conditions.size()) * (kHeadingRow + 2 * kSpeakersRow);
  Panel panel(
      {fmt::format("speakers-{}", lag), fmt::format("Lag {}, slice {}", lag, slice),
       "The variance ratio of each speaker as a dot, by condition and split, with the middle half as a box.",
       "variance ratio inside the speaker", ""},
      Axis::linear(extent, 6), height, kRowsLeft);
  if (shows_threshold(options, extent)) {
    panel.shade_left(options.metrics.variance_ratio_threshold, "passing");
    panel.vertical(options.metrics.variance_ratio_threshold, "threshold");
  }
  panel.vertical(1.0, "unity");
  double y = panel.top();
  for (const std::string& condition : conditions) {
    panel.svg().text({4, y + 14}, Anchor::kStart, "row-name", condition);
    y += kHeadingRow;
    for (const SplitLook& look : {kTrainLook, kEvalLook}) {
      draw_row(panel, select(result, condition, lag, slice, look.name), look, y + kSpeakersRow / 2);
      y += kSpeakersRow;
    }
  }
  return panel.finish();
}

}  // namespace

std::string speaker_chart(const Options& options, const AnalysisResult& result) {
  if (result.speakers.empty()) return {};
  const Extent extent = ratio_extent(options, result, decision_slice(options));
  std::vector<std::string> panels;
  for (const std::int64_t lag : lags_of(result)) panels.push_back(lag_panel(options, result, lag, extent));
  std::vector<LegendItem> items = {{swatch(Marker::kCircle, kTrainLook.fill), "one train speaker"},
                                   {swatch(Marker::kCircle, kEvalLook.fill), "one eval speaker"},
                                   {swatch(Marker::kSquare, "box"), "middle half of the speakers"},
                                   {swatch(Marker::kTick, "median"), "median"},
                                   {line_swatch("whisker"), "5% to 95%"},
                                   {line_swatch("unity"), "1: nothing explained"}};
  if (shows_threshold(options, extent)) items.push_back(threshold_legend(options));
  return legend(items) + panel_grid(panels);
}

}  // namespace phase0::report
