#include "report/html.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <set>

#include "report/charts.h"
#include "report/sample.h"

namespace phase0::report {
namespace {

std::size_t occurrences(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

std::string page_of(const Sample& sample) {
  return render_html(sample.options, sample.result, sample.facts);
}

/// Every element is closed in the order in which it was opened.
void expect_balanced(const std::string& html) {
  static const std::set<std::string> void_elements = {"meta", "br", "!DOCTYPE"};
  const std::regex tag("<(/?)([A-Za-z!][A-Za-z0-9]*)[^<>]*?(/?)>");
  std::vector<std::string> open;
  for (auto it = std::sregex_iterator(html.begin(), html.end(), tag); it != std::sregex_iterator(); ++it) {
    const std::string name = (*it)[2];
    if (void_elements.count(name) > 0 || (*it)[3].length() > 0) continue;
    if ((*it)[1].length() == 0) {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty()) << "</" << name << ">";
    ASSERT_EQ(open.back(), name) << "at " << it->position();
    open.pop_back();
  }
  EXPECT_TRUE(open.empty()) << open.back();
}

bool has_non_finite_number(const std::string& html) {
  return std::regex_search(html, std::regex("[^a-z](nan|inf)[^a-z]"));
}

TEST(ReportHtml, IsSelfContained) {
  const std::string page = page_of(make_sample(20, 8));
  for (const char* word : {"http:", "https:", "<script", "<link", "<img", "@import", "url(", "src="}) {
    EXPECT_EQ(page.find(word), std::string::npos) << word;
  }
}

TEST(ReportHtml, ShowsTheMemoryOfTheStages) {
  Sample sample = make_sample(20, 8);
  EXPECT_EQ(page_of(sample).find("Memory: the peak"), std::string::npos);
  sample.facts.memory = {{"collect", 40 << 20, 30 << 20, 1 << 30}, {"fit", 300 << 20, 280 << 20, 1 << 30}};
  const std::string page = page_of(sample);
  expect_balanced(page);
  EXPECT_NE(page.find("<th scope=\"row\">fit</th><td>300.0 MiB</td><td>280.0 MiB</td><td>1.0 GiB</td>"),
            std::string::npos);
}

TEST(ReportHtml, IsWellFormedAndHasUniqueIds) {
  const std::string page = page_of(make_sample(20, 8));
  expect_balanced(page);
  const std::regex id(" id=\"([^\"]*)\"");
  std::set<std::string> seen;
  for (auto it = std::sregex_iterator(page.begin(), page.end(), id); it != std::sregex_iterator(); ++it) {
    EXPECT_TRUE(seen.insert((*it)[1]).second) << (*it)[1];
  }
  EXPECT_GT(seen.size(), 20U);
  EXPECT_FALSE(has_non_finite_number(page));
}

TEST(ReportHtml, ShowsEveryChart) {
  const Sample sample = make_sample(20, 8);
  const std::string page = page_of(sample);
  for (const char* id : {"ratio-0-t", "ratio-2-t", "speakers-1-t", "confidence-1-0-t", "sizes-1-0-t",
                         "sizes-4-2-t", "spread-1-0-t", "pca-1-0-t"}) {
    EXPECT_NE(page.find("id=\"" + std::string(id) + "\""), std::string::npos) << id;
  }
  EXPECT_EQ(occurrences(page, "role=\"img\""), occurrences(page, "<desc id="));
  EXPECT_EQ(occurrences(page, "<table>"), occurrences(page, "<caption>"));
  EXPECT_NE(page.find("FAIL"), std::string::npos);
  EXPECT_NE(page.find("slice high_energy: train variance ratio 0.941 is above 0.65"), std::string::npos);
}

TEST(RatioChart, DrawsEveryCellAndBaseline) {
  const Sample sample = make_sample(3, 2);
  const std::string chart = ratio_chart(sample.options, sample.result);
  const std::string marks = chart.substr(chart.find("<div class=\"panels\""));
  EXPECT_EQ(occurrences(marks, "<circle class=\"c-train\""), sample.result.cells.size());
  EXPECT_EQ(occurrences(marks, "<path class=\"c-eval\""), sample.result.cells.size());
  EXPECT_EQ(occurrences(marks, "<path class=\"l-"), 2 * sample.result.cells.size());
}

TEST(SpreadChart, CapsItsMarksAndSaysSo) {
  const std::string chart = spread_chart(make_sample(3, 2).result);
  EXPECT_NE(chart.find("pca8_quartile, lag 1 (500 largest of 548)"), std::string::npos);
}

TEST(PcaChart, DrawsSharedFitsOnce) {
  const std::string chart = pca_chart(make_sample(3, 2).result);
  EXPECT_EQ(occurrences(chart, "<svg class=\"chart\""), 3U) << "one per lag";
  EXPECT_NE(chart.find("pca8_vq256, pca8_quartile, lag 1"), std::string::npos);
}

TEST(ReportHtml, EscapesNames) {
  Sample sample = make_sample(3, 2);
  const std::string evil = "<b>&\"'x";
  for (CellMetrics& c : sample.result.cells) c.condition = c.slice = evil;
  for (SpeakerMetrics& s : sample.result.speakers) s.condition = s.slice = s.speaker = evil;
  for (ClusterMetrics& c : sample.result.clusters) c.condition = evil;
  for (ConfidencePoint& p : sample.result.confidence) p.condition = p.slice = evil;
  for (PcaComponent& c : sample.result.pca) c.condition = evil;
  for (ConditionDecision& d : sample.result.decision.conditions) d = {evil, false, {evil}};
  sample.options.slices = {{evil, SliceFilterKind::kAll, 0, 1}};
  sample.facts.input_path = sample.facts.storage = sample.facts.version = evil;
  const std::string page = page_of(sample);
  EXPECT_EQ(page.find("<b>&"), std::string::npos);
  EXPECT_EQ(page.find("&\"'x"), std::string::npos);
  EXPECT_GT(occurrences(page, "&lt;b&gt;&amp;&quot;&#39;x"), 20U);
  expect_balanced(page);
}

TEST(ReportHtml, StandsMissingFigures) {
  const Sample nothing;
  expect_balanced(page_of(nothing));
  EXPECT_NE(page_of(nothing).find("There is nothing to draw"), std::string::npos);

  Sample sample = make_sample(3, 2);
  for (CellMetrics& c : sample.result.cells) {
    c.train = SplitMetrics{};
    c.eval = SplitMetrics{};
    c.eval.variance_ratio = std::nan("");
    c.cross_speaker_degradation.reset();
  }
  for (SpeakerMetrics& s : sample.result.speakers) s.variance_ratio.reset();
  for (ConfidencePoint& p : sample.result.confidence) p.variance_ratio.reset();
  for (ClusterMetrics& c : sample.result.clusters) c.train_variance = c.eval_variance = std::nullopt;
  sample.result.pca.clear();
  const std::string page = page_of(sample);
  expect_balanced(page);
  EXPECT_FALSE(has_non_finite_number(page));
  EXPECT_EQ(pca_chart(sample.result), "");
  EXPECT_EQ(spread_chart(sample.result), "");
}

TEST(ReportHtml, StandsOneClusterOneLagOneSpeaker) {
  Sample sample = make_sample(1, 1);
  AnalysisResult& r = sample.result;
  r.cells.resize(1);
  r.clusters = {{r.cells[0].condition, r.cells[0].lag, 0, true, 1000, 0, 1.0, std::nullopt}};
  r.decision.conditions.resize(1);
  const std::string page = page_of(sample);
  expect_balanced(page);
  EXPECT_EQ(page.find("<details>"), std::string::npos) << "no other lag";
  EXPECT_FALSE(has_non_finite_number(page));
}

TEST(ReportHtml, IsTheSameEveryTime) {
  EXPECT_EQ(page_of(make_sample(20, 8)), page_of(make_sample(20, 8)));
}

}  // namespace
}  // namespace phase0::report
