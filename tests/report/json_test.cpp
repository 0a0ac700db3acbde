#include "report/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "report/sample.h"

namespace phase0::report {
namespace {

using Json = nlohmann::ordered_json;

TEST(MetricsJson, HasTheRequiredKeys) {
  const Sample sample = make_sample(3, 2);
  const Json list = Json::parse(metrics_json(sample.result));
  ASSERT_EQ(list.size(), sample.result.cells.size());
  std::vector<std::string> keys;
  for (const auto& [key, value] : list.at(0).items()) keys.push_back(key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"condition", "type", "lag", "slice", "n_effective_clusters", "train",
                                      "eval", "cross_speaker_degradation", "random_baseline_variance_ratio",
                                      "random_baseline_eval_variance_ratio", "cluster_stats"}));
  for (const char* split : {"train", "eval"}) {
    for (const char* key :
         {"variance_ratio", "entropy_reduction", "n_samples", "n_samples_total", "excluded_mass",
          "speaker_mean", "speaker_std", "speaker_ci_lower", "speaker_ci_upper", "n_speakers"}) {
      EXPECT_TRUE(list.at(0).at(split).contains(key)) << split << " " << key;
    }
  }
  const CellMetrics& cell = sample.result.cells.at(5);
  EXPECT_EQ(list.at(5).at("eval").at("variance_ratio").get<double>(), *cell.eval.variance_ratio)
      << "to the last bit";
  EXPECT_EQ(list.at(5).at("random_baseline_eval_variance_ratio").get<double>(),
            *cell.eval.random_baseline_mean);
  EXPECT_EQ(list.at(5).at("slice"), cell.slice);
}

TEST(MetricsJson, WritesUndefinedAsNull) {
  AnalysisResult result;
  result.cells.emplace_back();
  result.cells[0].condition = "quote \" and \\ and \n";
  result.cells[0].train.variance_ratio = std::nan("");
  result.cells[0].eval.variance_ratio = 1e23;
  const std::string text = metrics_json(result);
  EXPECT_NE(text.find("\"variance_ratio\": 1e+23"), std::string::npos) << text;
  const Json cell = Json::parse(text).at(0);
  EXPECT_EQ(cell.at("condition"), result.cells[0].condition);
  EXPECT_TRUE(cell.at("train").at("variance_ratio").is_null());
  EXPECT_TRUE(cell.at("train").at("speaker_mean").is_null());
  EXPECT_TRUE(cell.at("cross_speaker_degradation").is_null());
  EXPECT_EQ(Json::parse(metrics_json({})), Json::array());
}

TEST(DecisionJson, SaysVerdictReasonsAndThresholds) {
  Sample sample = make_sample(3, 2);
  Json decision = Json::parse(decision_json(sample.options, sample.result.decision));
  EXPECT_EQ(decision.at("decision"), "FAIL");
  EXPECT_EQ(decision.at("pass"), false);
  EXPECT_EQ(decision.at("conditions").size(), 3U);
  EXPECT_EQ(decision.at("conditions").at(1).at("condition"), "pca8_vq256");
  EXPECT_EQ(decision.at("conditions").at(1).at("reasons").size(), 3U);
  EXPECT_EQ(decision.at("thresholds").at("variance_ratio"), 0.6);

  sample.result.decision.pass = true;
  sample.result.decision.conditions[0] = {"mean_vq64", true, {}};
  decision = Json::parse(decision_json(sample.options, sample.result.decision));
  EXPECT_EQ(decision.at("decision"), "PASS");
  EXPECT_TRUE(decision.at("conditions").at(0).at("reasons").is_array());
}

}  // namespace
}  // namespace phase0::report
