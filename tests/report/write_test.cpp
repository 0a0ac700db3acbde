#include "report/write.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "phase0/error.h"
#include "report/sample.h"

namespace phase0::report {
namespace {

namespace fs = std::filesystem;

class WriteAll : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) / (std::string(info->name()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  fs::path folder_;
};

TEST_F(WriteAll, WritesEveryFileAndNoOther) {
  const Sample sample = make_sample(5, 3);
  write_all(folder_.string(), sample.options, sample.result, sample.facts);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"clusters.csv", "confidence.csv", "decision.json", "kmeans.csv",
                                             "metrics.csv", "metrics.json", "pca.csv", "report.html",
                                             "report.txt", "speakers.csv", "tables.csv"}));
  for (const std::string& name : names) EXPECT_FALSE(read(name).empty()) << name;
  EXPECT_EQ(read("report.txt"), render_text(sample.options, sample.result, sample.facts));
}

TEST_F(WriteAll, SaysWhereItCannotWrite) {
  const Sample sample = make_sample(1, 1);
  try {
    write_all((folder_ / "missing").string(), sample.options, sample.result, sample.facts);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kStorage);
  }
}

TEST(RenderText, FitsATerminal) {
  Sample sample = make_sample(5, 3);
  for (CellMetrics& cell : sample.result.cells)
    cell.condition = "a_condition_with_a_name_that_is_much_too_long";
  const std::string text = render_text(sample.options, sample.result, sample.facts);
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    EXPECT_LE(line.size(), 100U) << line;
    EXPECT_TRUE(line.empty() || line.back() != ' ') << line;
  }
  EXPECT_EQ(text.find("phase0 result: FAIL\n"), 0U);
}

TEST(RenderText, SaysWhatPassed) {
  Sample sample = make_sample(5, 3);
  sample.result.decision.pass = true;
  sample.result.decision.conditions[1] = {"pca8_vq256", true, {}};
  const std::string text = render_text(sample.options, sample.result, sample.facts);
  EXPECT_EQ(text.find("phase0 result: PASS\n"), 0U);
  EXPECT_NE(text.find("1 of 3 conditions meets every requirement."), std::string::npos);
  EXPECT_NE(text.find("The best description, pca8_vq256, explains 7.0% of"), std::string::npos);
  EXPECT_NE(text.find("PASS pca8_vq256"), std::string::npos);
  EXPECT_NE(text.find("FAIL mean_vq64"), std::string::npos);
}

TEST(RenderText, PrefersAConditionThatPasses) {
  Sample sample = make_sample(5, 3);
  sample.result.decision.pass = true;
  sample.result.decision.conditions[2] = {"pca8_quartile", true, {}};
  const std::string text = render_text(sample.options, sample.result, sample.facts);
  EXPECT_NE(text.find("The best description, pca8_quartile,"), std::string::npos)
      << "pca8_vq256 is lower but fails";
}

TEST(RenderText, StandsMissingFigures) {
  const Sample nothing;
  EXPECT_NE(render_text(nothing.options, nothing.result, nothing.facts).find("every slice is empty"),
            std::string::npos);
}

}  // namespace
}  // namespace phase0::report
