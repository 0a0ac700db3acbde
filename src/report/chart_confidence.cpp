#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.h"
#include "report/number.h"
#include "report/panel.h"
#include "report/summary.h"

namespace phase0::report {
namespace {

using Points = std::vector<const ConfidencePoint*>;

Points select(const AnalysisResult& result, const std::string& condition, std::int64_t lag,
              const std::string& slice) {
  Points chosen;
  for (const ConfidencePoint& p : result.confidence) {
    if (p.condition == condition && p.lag == lag && p.slice == slice && p.variance_ratio &&
        std::isfinite(*p.variance_ratio)) {
      chosen.push_back(&p);
    }
  }
  return chosen;
}

/// Quantile bins have no centroid, so every distance is 0 and "the closest rows" are merely the first ones.
bool has_distances(const Points& points) {
  return std::any_of(points.begin(), points.end(),
                     [](const auto* p) { return p->max_distance.value_or(0.0) > 0.0; });
}

void draw_split(Panel& panel, const Points& points, const SplitLook& look) {
  std::vector<Point> line;
  for (const ConfidencePoint* p : points) {
    if (p->split == look.name) line.push_back(panel.at(p->percent, *p->variance_ratio));
  }
  panel.svg().polyline(line, look.stroke);
  for (const ConfidencePoint* p : points) {
    if (p->split != look.name) continue;
    const bool is_train = look.name == std::string(kTrainLook.name);
    panel.svg().marker(is_train ? Marker::kCircle : Marker::kDiamond,
                       panel.at(p->percent, *p->variance_ratio), is_train ? 3.2 : 4.2, look.fill,
                       fmt::format("{}, closest {}%: variance ratio {}, {} rows", look.name, p->percent,
                                   fixed(p->variance_ratio), count(p->n_samples)));
  }
}

std::string condition_panel(const Options& options, const std::string& condition, std::int64_t lag,
                            const Points& points, const Axis& y, std::size_t number) {
  Extent percents;
  percents.add(0);
  percents.add(100);
  Panel panel(
      {fmt::format("confidence-{}-{}", lag, number), fmt::format("{}, lag {}", condition, lag),
       "The variance ratio over the rows closest to their centroid, from the closest 10% to all rows.",
       "closest rows included, %", "variance ratio"},
      Axis::linear(percents, 6), y);
  panel.shade_below(options.metrics.variance_ratio_threshold, "passing");
  panel.horizontal(options.metrics.variance_ratio_threshold, "threshold");
  panel.horizontal(1.0, "unity");
  draw_split(panel, points, kTrainLook);
  draw_split(panel, points, kEvalLook);
  return panel.finish();
}

}  // namespace

std::string confidence_chart(const Options& options, const AnalysisResult& result) {
  const std::string slice = decision_slice(options);
  Extent extent;
  add_reference_ratios(options, extent);
  std::vector<LagPanels> lags;
  std::vector<std::string> without;
  for (const std::int64_t lag : lags_of(result)) {
    for (const std::string& condition : condition_names(result)) {
      const Points points = select(result, condition, lag, slice);
      if (!has_distances(points)) continue;
      for (const ConfidencePoint* p : points) extent.add(*p->variance_ratio);
    }
  }
  const Axis y = Axis::linear(extent, 6);
  for (const std::int64_t lag : lags_of(result)) {
    LagPanels& panels = lags.emplace_back();
    panels.lag = lag;
    for (const std::string& condition : condition_names(result)) {
      const Points points = select(result, condition, lag, slice);
      if (has_distances(points)) {
        panels.panels.push_back(condition_panel(options, condition, lag, points, y, panels.panels.size()));
      } else if (!points.empty() && std::find(without.begin(), without.end(), condition) == without.end()) {
        without.push_back(condition);
      }
    }
  }
  std::string body = fold_lags(lags, decision_lag(result));
  std::string note;
  for (const std::string& condition : without) note += (note.empty() ? "" : ", ") + condition;
  if (!note.empty()) {
    note = fmt::format(
        "<p class=\"note\">Not drawn: {}. Quartile bins have no centroid that a row could be close to.</p>\n",
        escaped(note));
  }
  if (body.empty()) return note;
  return legend({{swatch(Marker::kCircle, kTrainLook.fill), kTrainLook.label},
                 {swatch(Marker::kDiamond, kEvalLook.fill), kEvalLook.label},
                 threshold_legend(options)}) +
         body + note;
}

}  // namespace phase0::report
