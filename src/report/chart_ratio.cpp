#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.h"
#include "report/number.h"
#include "report/panel.h"
#include "report/summary.h"

namespace phase0::report {
namespace {

constexpr double kRatioRow = 19;

std::optional<double> finite(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? value : std::nullopt;
}

Axis ratio_axis(const Options& options, const AnalysisResult& result) {
  Extent extent;
  add_reference_ratios(options, extent);
  for (const std::string& slice : slice_names(result)) extent.add(slice_threshold(options, slice));
  for (const CellMetrics& cell : result.cells) {
    for (const SplitMetrics* split : {&cell.train, &cell.eval}) {
      for (const auto& value : {split->variance_ratio, split->random_baseline_mean}) {
        if (finite(value)) extent.add(*value);
      }
    }
  }
  return Axis::linear(extent, 6);
}

std::string tooltip(const CellMetrics& cell, const SplitLook& look, const SplitMetrics& split) {
  return fmt::format("{}, lag {}, {}, {}: variance ratio {}, adjusted {}, random baseline {}", cell.condition,
                     cell.lag, cell.slice, look.name, fixed(split.variance_ratio),
                     fixed(split.variance_ratio_adjusted), fixed(split.random_baseline_mean));
}

void draw_split(Panel& panel, const CellMetrics& cell, const SplitLook& look, const SplitMetrics& split,
                double y) {
  const bool is_train = &split == &cell.train;
  if (const auto baseline = finite(split.random_baseline_mean)) {
    const double shift = is_train ? -3.5 : 3.5;
    panel.svg().marker(Marker::kTick, {panel.x().at(*baseline), y + shift}, 3.5, look.stroke,
                       fmt::format("{}, lag {}, {}, {}: random baseline {}", cell.condition, cell.lag,
                                   cell.slice, look.name, fixed(*baseline, 4)));
  }
  if (const auto ratio = finite(split.variance_ratio)) {
    panel.svg().marker(is_train ? Marker::kCircle : Marker::kDiamond, {panel.x().at(*ratio), y},
                       is_train ? 4.0 : 5.0, look.fill, tooltip(cell, look, split));
  }
}

void draw_row(Panel& panel, const CellMetrics& cell, double y) {
  panel.svg().text({kRowsLeft - 8, y + 3.5}, Anchor::kEnd, "tick", fmt::format("lag {}", cell.lag));
  const auto train = finite(cell.train.variance_ratio);
  const auto eval = finite(cell.eval.variance_ratio);
  if (train && eval) panel.svg().line({panel.x().at(*train), y}, {panel.x().at(*eval), y}, "link");
  if (!train && !eval) panel.svg().text({kRowsLeft + 6, y + 3.5}, Anchor::kStart, "tick", "undefined");
  draw_split(panel, cell, kTrainLook, cell.train, y);
  draw_split(panel, cell, kEvalLook, cell.eval, y);
}

LegendItem slices_threshold_legend(const Options& options) {
  return {line_swatch("threshold"), fmt::format("threshold ({}, in other slices {}); the shaded side passes",
                                                compact(options.metrics.variance_ratio_threshold, 6),
                                                compact(slice_threshold(options, {}), 6))};
}

std::string slice_panel(const Options& options, const AnalysisResult& result, const std::string& slice,
                        std::size_t number) {
  std::vector<const CellMetrics*> cells;
  for (const CellMetrics& cell : result.cells) {
    if (cell.slice == slice) cells.push_back(&cell);
  }
  double height = kRowsFrame;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    height += kRatioRow + (i == 0 || cells[i]->condition != cells[i - 1]->condition ? kHeadingRow : 0);
  }
  Panel panel(
      {fmt::format("ratio-{}", number), "Slice: " + slice,
       "Dots of the variance ratio on train and eval for each condition and lag, with their random baselines "
       "and the threshold. The figures are in the table of all results.",
       "variance ratio (lower is better)", ""},
      ratio_axis(options, result), height, kRowsLeft);
  panel.shade_left(slice_threshold(options, slice), "passing");
  panel.vertical(slice_threshold(options, slice), "threshold");
  panel.vertical(1.0, "unity");
  double y = panel.top();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i == 0 || cells[i]->condition != cells[i - 1]->condition) {
      panel.svg().text({4, y + 14}, Anchor::kStart, "row-name", cells[i]->condition);
      y += kHeadingRow;
    }
    draw_row(panel, *cells[i], y + kRatioRow / 2);
    y += kRatioRow;
  }
  return panel.finish();
}

}  // namespace

std::string ratio_chart(const Options& options, const AnalysisResult& result) {
  if (result.cells.empty()) return {};
  std::vector<std::string> panels;
  for (const std::string& slice : slice_names(result)) {
    panels.push_back(slice_panel(options, result, slice, panels.size()));
  }
  return legend({{swatch(Marker::kCircle, kTrainLook.fill), kTrainLook.label},
                 {swatch(Marker::kDiamond, kEvalLook.fill), kEvalLook.label},
                 {swatch(Marker::kTick, kTrainLook.stroke), "random baseline, train"},
                 {swatch(Marker::kTick, kEvalLook.stroke), "random baseline, eval"},
                 slices_threshold_legend(options)}) +
         panel_grid(panels);
}

void add_reference_ratios(const Options& options, Extent& extent) {
  const double threshold = options.metrics.variance_ratio_threshold;
  extent.add(1.0);
  // Room beyond the threshold, so that the side that passes is always in sight.
  extent.add(threshold - 0.05 * std::max(1.0, threshold));
}

LegendItem threshold_legend(const Options& options) {
  return {line_swatch("threshold"), fmt::format("threshold {}; the shaded side passes",
                                                shortest(options.metrics.variance_ratio_threshold))};
}

std::string fold_lags(const std::vector<LagPanels>& lags, std::int64_t first) {
  std::string shown;
  std::vector<std::string> hidden;
  std::string hidden_lags;
  for (const LagPanels& lag : lags) {
    if (lag.panels.empty()) continue;
    if (lag.lag == first || lags.size() == 1) {
      shown = panel_grid(lag.panels);
    } else {
      hidden.insert(hidden.end(), lag.panels.begin(), lag.panels.end());
      hidden_lags += (hidden_lags.empty() ? "" : ", ") + std::to_string(lag.lag);
    }
  }
  if (hidden.empty()) return shown;
  return shown + fmt::format("<details><summary>The same at lag{} {}</summary>\n{}</details>\n",
                             hidden_lags.find(',') == std::string::npos ? "" : "s", hidden_lags,
                             panel_grid(hidden));
}

}  // namespace phase0::report
