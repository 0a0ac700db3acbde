#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/memory.h"
#include "report/html.h"
#include "report/number.h"
#include "report/summary.h"
#include "report/svg.h"

namespace phase0::report {
namespace {

std::string cell(const std::string& text) {
  return "<td>" + escaped(text) + "</td>";
}

std::string ratio_cell(const std::optional<double>& ratio, double limit) {
  const bool good = ratio && *ratio <= limit;
  return fmt::format("<td{}>{}</td>", good ? " class=\"good\"" : "", fixed(ratio));
}

std::string badge(bool pass) {
  return pass ? "<span class=\"badge pass\">&#10003; PASS</span>"
              : "<span class=\"badge fail\">&#10007; FAIL</span>";
}

std::string interval(const SplitMetrics& split) {
  if (!split.speaker_mean) return kUndefined;
  if (!split.speaker_ci_lower || !split.speaker_ci_upper) return fixed(split.speaker_mean);
  // Student's interval is symmetric.
  return fixed(split.speaker_mean) + " ± " + fixed((*split.speaker_ci_upper - *split.speaker_ci_lower) / 2);
}

std::string decision_row(const Options& options, const AnalysisResult& result,
                         const ConditionDecision& decision) {
  const CellMetrics* found = decision_cell(options, result, decision.condition);
  const CellMetrics figures = found == nullptr ? CellMetrics{} : *found;
  const double limit = options.metrics.variance_ratio_threshold;
  std::string reasons;
  for (const std::string& reason : decision.reasons) reasons += "<li>" + escaped(reason) + "</li>";
  return fmt::format("<tr><th scope=\"row\">{}</th><td class=\"left\">{}</td>", escaped(decision.condition),
                     badge(decision.pass)) +
         ratio_cell(figures.train.variance_ratio, limit) + ratio_cell(figures.eval.variance_ratio, limit) +
         cell(percent(figures.cross_speaker_degradation)) + cell(fixed(figures.train.random_baseline_mean)) +
         cell(fixed(figures.eval.random_baseline_mean)) +
         fmt::format("<td class=\"wrap\">{}</td></tr>\n",
                     reasons.empty() ? "every requirement is met" : "<ul>" + reasons + "</ul>");
}

std::string row_head(const CellMetrics& c, bool first) {
  return fmt::format("<tr{}><th scope=\"row\">{}</th><td>{}</td><td class=\"left\">{}</td>",
                     first ? " class=\"group\"" : "", escaped(c.condition), c.lag, escaped(c.slice));
}

std::string ratio_row(const Options& options, const CellMetrics& c) {
  const double limit = slice_threshold(options, c.slice);
  return ratio_cell(c.train.variance_ratio, limit) + ratio_cell(c.eval.variance_ratio, limit) +
         cell(fixed(c.train.variance_ratio_adjusted)) + cell(fixed(c.eval.variance_ratio_adjusted)) +
         cell(percent(c.cross_speaker_degradation)) + cell(fixed(c.train.random_baseline_mean)) +
         cell(fixed(c.eval.random_baseline_mean)) + cell(fixed(c.train.random_baseline_p_value)) +
         cell(fixed(c.eval.random_baseline_p_value));
}

std::string basis_row(const Options& /*options*/, const CellMetrics& c) {
  return cell(fixed(c.train.entropy_reduction_nats_per_dim)) +
         cell(fixed(c.eval.entropy_reduction_nats_per_dim)) + cell(interval(c.train)) +
         cell(interval(c.eval)) +
         cell(fmt::format("{} of {}", count(c.n_effective_clusters), count(c.cluster_stats.n_clusters))) +
         cell(percent(c.train.excluded_mass)) + cell(percent(c.eval.excluded_mass)) +
         cell(count(c.train.n_samples)) + cell(count(c.eval.n_samples));
}

constexpr const char* kRowHead = R"html(<thead>
<tr><th rowspan="2" scope="col" class="left">Condition</th><th rowspan="2" scope="col">Lag</th>
<th rowspan="2" scope="col" class="left">Slice</th>
)html";
constexpr const char* kRatioHead = R"html(<th colspan="2" scope="colgroup">Variance ratio</th>
<th colspan="2" scope="colgroup">Adjusted ratio</th><th rowspan="2" scope="col">Degra-<br>dation</th>
<th colspan="2" scope="colgroup">Random baseline</th>
<th colspan="2" scope="colgroup">p against random</th></tr>
<tr><th scope="col">train</th><th scope="col">eval</th><th scope="col">train</th><th scope="col">eval</th>
<th scope="col">train</th><th scope="col">eval</th><th scope="col">train</th><th scope="col">eval</th></tr>
</thead>
)html";
constexpr const char* kBasisHead =
    R"html(<th colspan="2" scope="colgroup">Entropy reduction,<br>nats per dimension</th>
<th colspan="2" scope="colgroup">Mean over speakers<br>± 95% interval</th>
<th rowspan="2" scope="col">Clusters<br>counted</th>
<th colspan="2" scope="colgroup">Excluded mass</th><th colspan="2" scope="colgroup">Rows used</th></tr>
<tr><th scope="col">train</th><th scope="col">eval</th><th scope="col">train</th><th scope="col">eval</th>
<th scope="col">train</th><th scope="col">eval</th><th scope="col">train</th><th scope="col">eval</th></tr>
</thead>
)html";

template <typename Row>
std::string wide_table(const Options& options, const AnalysisResult& result, const char* caption,
                       const char* head, const Row& row) {
  std::string out =
      fmt::format("<div class=\"scroll\" tabindex=\"0\"><table>\n<caption>{}</caption>\n{}{}<tbody>\n",
                  caption, kRowHead, head);
  const CellMetrics* before = nullptr;
  for (const CellMetrics& c : result.cells) {
    out += row_head(c, before == nullptr || before->condition != c.condition || before->lag != c.lag) +
           row(options, c) + "</tr>\n";
    before = &c;
  }
  return out + "</tbody></table></div>\n";
}

/// The end of one fit: the last iteration of the restart that won, or of its refinement.
struct FitEnd {
  const KMeansIteration* last = nullptr;
  std::int64_t n_restarts = 0;
  bool refined = false;
};

FitEnd fit_end(const AnalysisResult& result, const std::string& condition, std::int64_t lag) {
  FitEnd end;
  for (const KMeansIteration& i : result.kmeans) {
    if (i.condition != condition || i.lag != lag) continue;
    const bool refine = i.phase == "refine";
    if (!refine) end.n_restarts = std::max(end.n_restarts, i.restart + 1);
    if (!i.best || (end.refined && !refine)) continue;
    end.refined = refine;
    end.last = &i;
  }
  return end;
}

std::string stop_words(const KMeansIteration& last) {
  if (last.stopped == "tol") return "centroids settled";
  if (last.stopped == "no_change") return "no row changed its cluster";
  if (last.stopped == "max_iter") return "iteration limit";
  return last.stopped.empty() ? kUndefined : last.stopped;
}

}  // namespace

std::string html_decision_table(const Options& options, const AnalysisResult& result) {
  std::string out = fmt::format(
      "<div class=\"scroll\"><table>\n<caption>Each condition at lag {}, slice {}. A tick marks a ratio "
      "within the "
      "threshold.</caption>\n<thead><tr><th scope=\"col\" class=\"left\">Condition</th>"
      "<th scope=\"col\" class=\"left\">Result</th><th scope=\"col\">Variance<br>ratio, train</th>"
      "<th scope=\"col\">Variance<br>ratio, eval</th><th scope=\"col\">Degra-<br>dation</th>"
      "<th scope=\"col\">Random<br>train</th><th scope=\"col\">Random<br>eval</th>"
      "<th scope=\"col\" class=\"left\">Why</th></tr></thead>\n<tbody>\n",
      decision_lag(result), escaped(decision_slice(options)));
  for (const ConditionDecision& decision : result.decision.conditions)
    out += decision_row(options, result, decision);
  return out + "</tbody></table></div>\n";
}

std::string html_result_table(const Options& options, const AnalysisResult& result) {
  if (result.cells.empty()) return "<p>There are no results: every slice is empty.</p>\n";
  return wide_table(options, result,
                    "Variance ratios of every condition, lag and slice. A tick marks a ratio within the "
                    "threshold of "
                    "its slice. Full precision: <code>tables.csv</code>.",
                    kRatioHead, ratio_row) +
         wide_table(options, result,
                    "The same cells: entropy, speakers, and the rows and clusters behind the figures.",
                    kBasisHead, basis_row);
}

std::string html_fit_table(const AnalysisResult& result) {
  std::string rows;
  for (const std::string& condition : condition_names(result)) {
    for (const std::int64_t lag : lags_of(result)) {
      const FitEnd end = fit_end(result, condition, lag);
      if (end.last == nullptr) continue;
      rows += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(condition)) + cell(std::to_string(lag)) +
              cell(count(end.n_restarts)) + cell(count(end.last->restart + 1)) +
              cell(count(end.last->n_rows)) + cell(count(end.last->iteration)) +
              cell(compact(
                  end.last->inertia / static_cast<double>(std::max<std::int64_t>(1, end.last->n_rows)), 5)) +
              fmt::format("<td class=\"left\">{}</td></tr>\n", escaped(stop_words(*end.last)));
    }
  }
  if (rows.empty()) return {};
  return "<div class=\"scroll\"><table>\n<caption>How the k-means fits ended; every iteration is in "
         "<code>kmeans.csv</code>. Inertia is the mean squared distance of a row to its centroid.</caption>\n"
         "<thead><tr><th scope=\"col\" class=\"left\">Condition</th><th scope=\"col\">Lag</th>"
         "<th scope=\"col\">Restarts</th><th scope=\"col\">Best<br>restart</th><th scope=\"col\">Rows</th>"
         "<th scope=\"col\">Iterations</th><th scope=\"col\">Inertia<br>per row</th>"
         "<th scope=\"col\" class=\"left\">Ended because</th></tr></thead>\n<tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string html_memory_table(const RunFacts& facts) {
  if (facts.memory.empty()) return {};
  std::string rows;
  for (const StageMemory& stage : facts.memory) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(stage.stage)) +
            cell(core::format_bytes(stage.planned_bytes)) + cell(core::format_bytes(stage.measured_bytes)) +
            cell(core::format_bytes(stage.budget_bytes)) + "</tr>\n";
  }
  return "<div class=\"scroll\"><table>\n<caption>Memory: the peak of each stage as it was planned and as "
         "the "
         "kernel measured it, mapped file pages included.</caption>\n"
         "<thead><tr><th scope=\"col\" class=\"left\">Stage</th><th scope=\"col\">Planned</th>"
         "<th scope=\"col\">Measured</th><th scope=\"col\">Budget</th></tr></thead>\n<tbody>\n" +
         rows + "</tbody></table></div>\n";
}

}  // namespace phase0::report
