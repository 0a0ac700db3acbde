#include <fmt/format.h>

#include "report/charts.h"
#include "report/html.h"
#include "report/number.h"
#include "report/summary.h"
#include "report/svg.h"

namespace phase0::report {
namespace {

std::string tile(const std::string& figure, const std::string& what) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", escaped(figure), escaped(what));
}

std::string tiles(const Options& options, const AnalysisResult& result, const RunFacts& facts) {
  std::string out = "<div class=\"tiles\">\n";
  if (const CellMetrics* best = best_cell(options, result)) {
    const std::string limit = shortest(options.metrics.variance_ratio_threshold);
    out +=
        tile(fixed(best->eval.variance_ratio), "variance ratio, unseen speakers (best: " + best->condition +
                                                   "; to pass: at most " + limit + ")");
    out += tile(fixed(best->train.variance_ratio),
                "the same on train speakers (to pass: at most " + limit + ")");
    out += tile(percent(best->cross_speaker_degradation),
                "rise of the ratio from train to unseen speakers (to pass: at most " +
                    percent(options.metrics.cross_speaker_degradation_max, 0) + ")");
    out += tile(fixed(best->eval.random_baseline_mean),
                "variance ratio of shuffled clusters (should be near 1)");
  }
  const auto total = [](std::int64_t train, std::int64_t eval, const char* what) {
    return tile(count(train + eval), fmt::format("{}: {} train, {} eval", what, count(train), count(eval)));
  };
  out += total(facts.n_speakers_train, facts.n_speakers_eval, "speakers");
  out += total(facts.n_rows_train, facts.n_rows_eval, "sample rows");
  return out + "</div>\n";
}

std::string header(const Options& options, const AnalysisResult& result, const RunFacts& facts) {
  const bool pass = result.decision.pass;
  return fmt::format(
             "<header>\n<h1>Does the recent context predict the next change?</h1>\n"
             "<p class=\"soft\">phase0 {}, input <code>{}</code></p>\n"
             "<div class=\"banner {}\"><span class=\"word\">{}</span><p>{}</p><p>{}</p></div>\n",
             escaped(facts.version), escaped(facts.input_path), pass ? "pass" : "fail",
             pass ? "&#10003; PASS" : "&#10007; FAIL", escaped(verdict(result.decision)),
             escaped(best_sentence(options, result))) +
         tiles(options, result, facts) +
         "<nav aria-label=\"Contents\"><a href=\"#question\">Question</a><a href=\"#decision\">Decision</a>"
         "<a href=\"#charts\">Charts</a><a href=\"#results\">All results</a><a "
         "href=\"#glossary\">Glossary</a>"
         "<a href=\"#data\">Data</a></nav>\n</header>\n";
}

std::string question_section(const Options& options) {
  std::string lags;
  for (const std::int64_t lag : options.context.lags)
    lags += (lags.empty() ? "" : ", ") + std::to_string(lag);
  return fmt::format(R"html(<section aria-labelledby="question">
<h2 id="question">The question</h2>
<p>{}</p>
<p>For every moment, the recent context (a window of {} {} that ends {} {} earlier) is reduced to one of
a limited number of labels, by clustering or binning fitted on the train speakers only. If moments with
the same label change in similar ways, knowing the label removes variance from the next change. The
<strong>variance ratio</strong> is what is left of that variance: 1 means that the label says nothing, 0
that it says everything. It is measured on the train speakers and, with the very same labels, on eval
speakers that the fit never saw.</p>
</section>
)html",
                     escaped(question()), count(options.context.window_size),
                     options.context.window_size == 1 ? "frame" : "frames", lags,
                     lags == "1" ? "frame" : "frames");
}

std::string decision_section(const Options& options, const AnalysisResult& result) {
  std::string out = "<section aria-labelledby=\"decision\">\n<h2 id=\"decision\">The decision</h2>\n";
  out += fmt::format(
      "<p><strong>{}.</strong> {} The result is PASS as soon as one condition does all of this:</p>\n<ul>\n",
      result.decision.pass ? "PASS" : "FAIL", escaped(verdict(result.decision)));
  for (const std::string& requirement : requirements(options))
    out += "<li>" + escaped(requirement) + "</li>\n";
  return out + "</ul>\n" + html_decision_table(options, result) + "</section>\n";
}

std::string chart(const std::string& title, const std::string& how_to_read, const std::string& body) {
  return fmt::format("<h3>{}</h3>\n<p>{}</p>\n{}", title, how_to_read,
                     body.empty() ? "<p class=\"note\">There is nothing to draw in this run.</p>\n" : body);
}

constexpr const char* kReadRatio =
    R"(The further left of 1, the more the description explains. To pass, dot and diamond of one condition must
both reach the shaded side at lag 1. A diamond far right of its dot means that what was learnt does not
carry over to new speakers. The small upright strokes, shuffled labels, should stand at 1.)";
constexpr const char* kReadSpeakers =
    R"(Each dot is one speaker. A narrow cloud means that the average holds for everyone, a wide one that it
hides speakers for whom the description works better or worse. Speakers with fewer than 50 rows are left
out.)";
constexpr const char* kReadConfidence =
    R"(From left to right more rows are included, those closest to the centre of their cluster first. A line
that rises says that the description is best for contexts near a centre; a flat one, that nearness does
not matter.)";
constexpr const char* kReadSizes =
    R"(Clusters from the largest to the smallest. Those below the dashed line are too small to count; a steep
fall means that few clusters hold most of the rows.)";
constexpr const char* kReadSpread =
    R"(Each mark is one cluster; below 1, its rows change more alike than all rows do. Clusters far below 1 on
train but not on eval describe particular speakers only.)";
constexpr const char* kReadPca =
    R"(Bars: the share of the context's variance along each principal component. Line: all up to there together.
A low line means that the description sees little of the context to begin with.)";

std::string charts_section(const Options& options, const AnalysisResult& result) {
  return R"html(<section aria-labelledby="charts">
<h2 id="charts">Charts</h2>
<p class="note">Hold the pointer over a mark to read its figures.</p>
)html" + chart("How much of the next change is left?", kReadRatio, ratio_chart(options, result)) +
         chart("Is it the same for every speaker?", kReadSpeakers, speaker_chart(options, result)) +
         chart("Does it work better for typical contexts?", kReadConfidence,
               confidence_chart(options, result)) +
         chart("How large are the clusters?", kReadSizes, size_chart(options, result)) +
         chart("Which clusters explain something?", kReadSpread, spread_chart(result)) +
         chart("How much of the context do the components keep?", kReadPca, pca_chart(result)) +
         "</section>\n";
}

std::string data_section(const Options& options, const AnalysisResult& result, const RunFacts& facts) {
  std::string out =
      "<section aria-labelledby=\"data\">\n<h2 id=\"data\">Data and fits</h2>\n<dl class=\"facts\">\n";
  for (const NamedFact& fact : data_facts(options, facts)) {
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(fact.name), escaped(fact.value));
  }
  out += "</dl>\n" + html_fit_table(result) + html_memory_table(facts) +
         "<h3>Files beside this one</h3>\n<dl class=\"facts\">\n";
  for (const FileNote& file : files()) {
    if (file.name == "report.html") continue;
    out += fmt::format("<dt><code>{}</code></dt><dd>{}</dd>\n", escaped(file.name), escaped(file.what));
  }
  return out + "</dl>\n</section>\n";
}

}  // namespace

std::string render_html(const Options& options, const AnalysisResult& result, const RunFacts& facts) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}: phase0 "
      "report</title>\n"
      "<style>{}</style>\n</head>\n<body>\n",
      result.decision.pass ? "PASS" : "FAIL", html_style());
  out += header(options, result, facts) + "<main>\n" + question_section(options) +
         decision_section(options, result) + charts_section(options, result);
  out += "<section aria-labelledby=\"results\">\n<h2 id=\"results\">All results</h2>\n" +
         html_result_table(options, result) + "</section>\n";
  out += "<section aria-labelledby=\"glossary\">\n<h2 id=\"glossary\">What the figures mean</h2>\n" +
         html_glossary(options) + "</section>\n";
  out += data_section(options, result, facts);
  return out + fmt::format("</main>\n<footer>Written by phase0 {}.</footer>\n</body>\n</html>\n",
                           escaped(facts.version));
}

}  // namespace phase0::report
