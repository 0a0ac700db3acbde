#include "report/tables.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "report/sample.h"

namespace phase0::report {
namespace {

std::vector<std::string> split(const std::string& line, char at) {
  std::vector<std::string> parts;
  std::stringstream stream(line + at);
  std::string part;
  while (std::getline(stream, part, at)) parts.push_back(part);
  return parts;
}

std::vector<std::string> lines_of(const std::string& text) {
  EXPECT_EQ(text.back(), '\n');
  return split(text.substr(0, text.size() - 1), '\n');
}

std::map<std::string, std::string> record(const std::string& csv, std::size_t row) {
  const std::vector<std::string> lines = lines_of(csv);
  const std::vector<std::string> names = split(lines.at(0), ',');
  const std::vector<std::string> fields = split(lines.at(row + 1), ',');
  EXPECT_EQ(names.size(), fields.size());
  std::map<std::string, std::string> out;
  for (std::size_t i = 0; i < names.size(); ++i)
    EXPECT_TRUE(out.emplace(names[i], fields.at(i)).second) << names[i];
  return out;
}

TEST(TablesCsv, BeginsWithTheFixedColumns) {
  const std::string header = lines_of(tables_csv({})).at(0);
  EXPECT_EQ(
      header.find("condition,lag,slice,train_variance_ratio,eval_variance_ratio,train_entropy_reduction,"
                  "eval_entropy_reduction,cross_speaker_degradation,random_baseline,random_baseline_eval,"
                  "n_effective_clusters,train_n_samples,eval_n_samples,train_excluded_mass,"
                  "eval_excluded_mass,train_speaker_ci_lower,train_speaker_ci_upper,type,"),
      0U);
}

TEST(TablesCsv, PutsEachFigureIntoItsColumn) {
  CellMetrics cell;
  cell.condition = "c";
  cell.type = ConditionType::kPcaVq;
  cell.lag = 2;
  cell.slice = "all";
  cell.n_effective_clusters = 7;
  cell.train.variance_ratio = 0.5;
  cell.eval.variance_ratio = 0.75;
  cell.train.random_baseline_mean = 0.99;
  cell.eval.random_baseline_mean = 0.98;
  cell.train.random_baseline_p_value = 0.125;
  cell.eval.speaker_ci_upper = 0.8;
  cell.eval.n_samples = 11;
  cell.cluster_stats.median_size = 2.5;
  const auto fields = record(tables_csv({cell}), 0);
  EXPECT_EQ(fields.at("condition"), "c");
  EXPECT_EQ(fields.at("type"), "pca_vq");
  EXPECT_EQ(fields.at("lag"), "2");
  EXPECT_EQ(fields.at("train_variance_ratio"), "0.5");
  EXPECT_EQ(fields.at("eval_variance_ratio"), "0.75");
  EXPECT_EQ(fields.at("random_baseline"), "0.99");
  EXPECT_EQ(fields.at("random_baseline_eval"), "0.98");
  EXPECT_EQ(fields.at("train_random_baseline_p_value"), "0.125");
  EXPECT_EQ(fields.at("eval_speaker_ci_upper"), "0.8");
  EXPECT_EQ(fields.at("eval_n_samples"), "11");
  EXPECT_EQ(fields.at("n_effective_clusters"), "7");
  EXPECT_EQ(fields.at("cluster_median_size"), "2.5");
  EXPECT_EQ(fields.at("cross_speaker_degradation"), "") << "undefined";
  EXPECT_EQ(fields.count("train_random_baseline_mean"), 0U) << "stands there as random_baseline";
}

TEST(MetricsCsv, IsTidy) {
  const Sample sample = make_sample(3, 2);
  const std::vector<std::string> lines = lines_of(metrics_csv(sample.result.cells));
  EXPECT_EQ(lines.at(0), "condition,type,lag,slice,split,metric,value");
  std::map<std::string, int> splits;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> fields = split(lines[i], ',');
    ASSERT_EQ(fields.size(), 7U) << lines[i];
    ++splits[fields[4]];
  }
  EXPECT_EQ(splits.size(), 3U);
  EXPECT_EQ(splits["train"], splits["eval"]);
  EXPECT_EQ(splits["train"] % static_cast<int>(sample.result.cells.size()), 0);
  EXPECT_EQ(lines.at(1).find("mean_vq64,mean_pool_vq,1,all,train,variance_ratio,0.953"), 0U) << lines.at(1);
}

TEST(OtherTables, HaveTheirColumns) {
  EXPECT_EQ(speakers_csv({{"c", 1, "all", "eval", "=cmd", 60, 0.5}}),
            "condition,lag,slice,split,speaker,n_samples,variance_ratio\nc,1,all,eval,'=cmd,60,0.5\n");
  EXPECT_EQ(clusters_csv({{"c", 1, 4, true, 100, 9, 0.5, std::nullopt}}),
            "condition,lag,cluster,effective,train_count,eval_count,train_variance,eval_variance\n"
            "c,1,4,true,100,9,0.5,\n");
  EXPECT_EQ(confidence_csv({{"c", 1, "all", "train", 10, 5, 1.5, 0.25}}),
            "condition,lag,slice,split,percent,n_samples,max_distance,variance_ratio\nc,1,all,train,10,5,1.5,"
            "0.25\n");
  EXPECT_EQ(pca_csv({{"c", 1, 0, 4, 0.5, 0.5}}),
            "condition,lag,component,explained_variance,explained_variance_ratio,cumulative_ratio\nc,1,0,4,0."
            "5,0.5\n");
  EXPECT_EQ(kmeans_csv({{"c", 1, "restart", 2, 3, 10, 1.5, 0.5, 0, "tol", true}}),
            "condition,lag,phase,restart,iteration,n_rows,inertia,shift,n_reseeded,stopped,best\n"
            "c,1,restart,2,3,10,1.5,0.5,0,tol,true\n");
}

}  // namespace
}  // namespace phase0::report
