#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/charts.h"
#include "report/number.h"
#include "report/panel.h"
#include "report/summary.h"

namespace phase0::report {
namespace {

/// One fit, which several conditions may share.
struct Fit {
  std::string names;
  std::vector<const PcaComponent*> components;
};

bool same(const Fit& a, const Fit& b) {
  return std::equal(a.components.begin(), a.components.end(), b.components.begin(), b.components.end(),
                    [](const PcaComponent* p, const PcaComponent* q) {
                      return p->explained_variance == q->explained_variance &&
                             p->explained_variance_ratio == q->explained_variance_ratio;
                    });
}

std::vector<Fit> fits_of(const AnalysisResult& result, std::int64_t lag) {
  std::vector<Fit> fits;
  for (const std::string& condition : condition_names(result)) {
    Fit fit{condition, {}};
    for (const PcaComponent& c : result.pca) {
      if (c.condition == condition && c.lag == lag) fit.components.push_back(&c);
    }
    if (fit.components.empty()) continue;
    const auto twin =
        std::find_if(fits.begin(), fits.end(), [&](const Fit& other) { return same(fit, other); });
    if (twin == fits.end()) {
      fits.push_back(std::move(fit));
    } else {
      twin->names += ", " + condition;
    }
  }
  return fits;
}

void draw_bars(Panel& panel, const Fit& fit) {
  const double slot = (panel.right() - panel.left()) / static_cast<double>(fit.components.size());
  const double width = std::clamp(slot * 0.7, 0.5, 26.0);
  const bool marks = fit.components.size() <= 40;
  std::vector<Point> cumulative;
  for (std::size_t i = 0; i < fit.components.size(); ++i) {
    const PcaComponent& c = *fit.components[i];
    const double centre = panel.left() + slot * (static_cast<double>(i) + 0.5);
    const double top = panel.y().at(100 * c.explained_variance_ratio);
    const std::string text =
        fmt::format("component {}: {} of the variance, {} together with those before", i + 1,
                    percent(c.explained_variance_ratio, 2), percent(c.cumulative_ratio, 2));
    panel.svg().rect({centre - width / 2, top}, width, panel.bottom() - top, "c-train", text);
    cumulative.push_back({centre, panel.y().at(100 * c.cumulative_ratio)});
  }
  panel.svg().polyline(cumulative, "l-sum");
  for (std::size_t i = 0; marks && i < cumulative.size(); ++i) {
    panel.svg().marker(
        Marker::kSquare, cumulative[i], 2.6, "c-sum",
        fmt::format("{} components: {}", i + 1, percent(fit.components[i]->cumulative_ratio, 2)));
  }
}

void label_components(Panel& panel, std::size_t n) {
  const double slot = (panel.right() - panel.left()) / static_cast<double>(n);
  const std::size_t every = n <= 16 ? 1 : n <= 32 ? 2 : (n + 9) / 10;
  for (std::size_t i = 0; i < n; i += every) {
    panel.svg().text({panel.left() + slot * (static_cast<double>(i) + 0.5), panel.bottom() + 14},
                     Anchor::kMiddle, "tick", std::to_string(i + 1));
  }
}

std::string fit_panel(const Fit& fit, std::int64_t lag, std::size_t number) {
  Extent shares;
  shares.add(0);
  for (const PcaComponent* c : fit.components) {
    shares.add(100 * c->explained_variance_ratio);
    shares.add(100 * c->cumulative_ratio);
  }
  Panel panel({fmt::format("pca-{}-{}", lag, number), fmt::format("{}, lag {}", fit.names, lag),
               "Share of the context's variance that each principal component holds, and the running sum.",
               "principal component", "% of the context's variance"},
              Axis::none(), Axis::linear(shares, 6));
  draw_bars(panel, fit);
  label_components(panel, fit.components.size());
  return panel.finish();
}

}  // namespace

std::string pca_chart(const AnalysisResult& result) {
  std::vector<LagPanels> lags;
  for (const std::int64_t lag : lags_of(result)) {
    LagPanels& panels = lags.emplace_back();
    panels.lag = lag;
    for (const Fit& fit : fits_of(result, lag))
      panels.panels.push_back(fit_panel(fit, lag, panels.panels.size()));
  }
  const std::string body = fold_lags(lags, decision_lag(result));
  if (body.empty()) return {};
  return legend({{swatch(Marker::kSquare, "c-train"), "one component"},
                 {line_swatch("l-sum"), "all components up to here"}}) +
         body;
}

}  // namespace phase0::report
