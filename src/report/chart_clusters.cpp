#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.h"
#include "report/number.h"
#include "report/panel.h"
#include "report/summary.h"

namespace phase0::report {
namespace {

using Clusters = std::vector<const ClusterMetrics*>;

/// Clusters with train rows, largest first.
Clusters select(const AnalysisResult& result, const std::string& condition, std::int64_t lag) {
  Clusters chosen;
  for (const ClusterMetrics& c : result.clusters) {
    if (c.condition == condition && c.lag == lag && c.train_count > 0) chosen.push_back(&c);
  }
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const auto* a, const auto* b) { return a->train_count > b->train_count; });
  return chosen;
}

template <typename Draw>
std::vector<LagPanels> panels_by_lag(const AnalysisResult& result, const Draw& draw) {
  std::vector<LagPanels> lags;
  for (const std::int64_t lag : lags_of(result)) {
    LagPanels& panels = lags.emplace_back();
    panels.lag = lag;
    for (const std::string& condition : condition_names(result)) {
      const Clusters clusters = select(result, condition, lag);
      std::string panel =
          clusters.empty() ? std::string() : draw(condition, lag, clusters, panels.panels.size());
      if (!panel.empty()) panels.panels.push_back(std::move(panel));
    }
  }
  return lags;
}

Axis size_axis(const Options& options, const Clusters& clusters) {
  Extent sizes;
  sizes.add(static_cast<double>(options.clustering.min_cluster_size));
  sizes.add(static_cast<double>(clusters.front()->train_count));
  sizes.add(static_cast<double>(clusters.back()->train_count));
  return Axis::logarithmic(sizes);
}

void draw_sizes(Panel& panel, const Clusters& clusters) {
  std::vector<Point> line;
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    const Point p = panel.at(static_cast<double>(i + 1), static_cast<double>(clusters[i]->train_count));
    // Tens of thousands of clusters share the last pixels; those that would not move the line are left out.
    const bool moves = line.empty() || p.x - line.back().x >= 0.5 || p.y - line.back().y >= 0.5;
    if (moves || i + 1 == clusters.size()) line.push_back(p);
  }
  panel.svg().polyline(line, "l-train");
  if (clusters.size() > 80) return;
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    const ClusterMetrics& c = *clusters[i];
    panel.svg().marker(
        Marker::kCircle, panel.at(static_cast<double>(i + 1), static_cast<double>(c.train_count)), 2.2,
        c.effective ? "c-train" : "c-muted",
        fmt::format("cluster {}: {} train rows, {} eval rows{}", c.cluster, count(c.train_count),
                    count(c.eval_count), c.effective ? "" : ", too small to count"));
  }
}

std::string size_panel(const Options& options, const std::string& condition, std::int64_t lag,
                       const Clusters& clusters, std::size_t number) {
  Extent ranks;
  ranks.add(1);
  ranks.add(static_cast<double>(std::max<std::size_t>(7, clusters.size())));
  const auto effective =
      std::count_if(clusters.begin(), clusters.end(), [](const auto* c) { return c->effective; });
  const std::string heading =
      fmt::format("{}, lag {} ({} of {} count)", condition, lag, effective, clusters.size());
  const bool many = clusters.size() > 80;
  Panel panel(
      {fmt::format("sizes-{}-{}", lag, number), heading,
       "Train rows per cluster, from the largest to the smallest, with the smallest size that counts.",
       many ? "rank of the cluster by size (log scale)" : "rank of the cluster by size",
       "train rows (log scale)"},
      many ? Axis::logarithmic(ranks) : Axis::linear(ranks, 7), size_axis(options, clusters));
  panel.horizontal(static_cast<double>(options.clustering.min_cluster_size), "threshold");
  draw_sizes(panel, clusters);
  return panel.finish();
}

void draw_spread(Panel& panel, const Clusters& clusters, std::size_t n) {
  const auto mark = [&](const ClusterMetrics& c, const SplitLook& look, Marker shape, double radius,
                        const std::optional<double>& variance) {
    if (!variance || !std::isfinite(*variance)) return;
    panel.svg().marker(shape, panel.at(static_cast<double>(c.train_count), *variance), radius,
                       std::string(look.fill) + " dot",
                       fmt::format("cluster {} on {}: variance {}, {} train rows, {} eval rows", c.cluster,
                                   look.name, fixed(variance), count(c.train_count), count(c.eval_count)));
  };
  for (std::size_t i = 0; i < n; ++i) {
    mark(*clusters[i], kEvalLook, Marker::kDiamond, 3.2, clusters[i]->eval_variance);
    mark(*clusters[i], kTrainLook, Marker::kCircle, 2.4, clusters[i]->train_variance);
  }
}

std::string spread_panel(const std::string& condition, std::int64_t lag, const Clusters& all,
                         std::size_t number) {
  Clusters clusters;
  for (const ClusterMetrics* c : all) {
    if (c->train_variance || c->eval_variance) clusters.push_back(c);
  }
  if (clusters.empty()) return {};
  const std::size_t n = std::min(clusters.size(), kMaxMarks);
  Extent sizes;
  Extent variances;
  variances.add(1.0);
  for (std::size_t i = 0; i < n; ++i) {
    sizes.add(static_cast<double>(clusters[i]->train_count));
    variances.add(clusters[i]->train_variance.value_or(1.0));
    variances.add(clusters[i]->eval_variance.value_or(1.0));
  }
  const std::string cut = n < clusters.size() ? fmt::format(" ({} largest of {})", n, clusters.size()) : "";
  Panel panel({fmt::format("spread-{}-{}", lag, number), fmt::format("{}, lag {}{}", condition, lag, cut),
               "Variance of the next change inside each cluster against its number of train rows.",
               "train rows in the cluster (log scale)", "variance of the next change"},
              Axis::logarithmic(sizes), Axis::linear(variances, 6));
  panel.horizontal(1.0, "unity");
  draw_spread(panel, clusters, n);
  return panel.finish();
}

}  // namespace

std::string size_chart(const Options& options, const AnalysisResult& result) {
  const auto draw = [&](const std::string& condition, std::int64_t lag, const Clusters& clusters,
                        std::size_t number) { return size_panel(options, condition, lag, clusters, number); };
  const std::string body = fold_lags(panels_by_lag(result, draw), decision_lag(result));
  if (body.empty()) return {};
  const std::string limit =
      fmt::format("smallest size that counts: {} train rows", count(options.clustering.min_cluster_size));
  return legend({{line_swatch("l-train"), "clusters, largest first"}, {line_swatch("threshold"), limit}}) +
         body;
}

std::string spread_chart(const AnalysisResult& result) {
  const std::string body = fold_lags(panels_by_lag(result, spread_panel), decision_lag(result));
  if (body.empty()) return {};
  return legend({{swatch(Marker::kCircle, kTrainLook.fill), "cluster, its train rows"},
                 {swatch(Marker::kDiamond, kEvalLook.fill), "the same cluster, its eval rows"},
                 {line_swatch("unity"), "1: the variance over all train rows"}}) +
         body;
}

}  // namespace phase0::report
