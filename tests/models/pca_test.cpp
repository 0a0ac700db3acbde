#include "models/pca.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <numeric>

#include "models/pca_reference.h"
#include "models/sources.h"

namespace phase0::models {
namespace {

using testing::expect_close;
using testing::Machine;
using testing::persistent_frames;
using testing::svd;
using testing::windows;

struct Case {
  std::int64_t columns, window, lag;
  double offset;
  std::vector<std::int64_t> lengths;
};

class PcaMethods : public ::testing::TestWithParam<PcaMethod> {};

TEST_P(PcaMethods, MatchesFloat64Svd) {
  const bool exact = GetParam() == PcaMethod::kCovariance;
  const std::vector<Case> cases = {
      {12, 5, 2, 0.0, {40, 7, 300, 8, 900, 25}},
      {12, 5, 1, 1e4, {500, 400}},
      {70, 1, 1, 3.0, {2500}},
      {9, 8, 4, 0.0, std::vector<std::int64_t>(300, 14)},  // runs of three rows: mostly heads and tails
  };
  for (const Case& c : cases) {
    const std::int64_t n_frames = std::accumulate(c.lengths.begin(), c.lengths.end(), std::int64_t{0});
    const auto frames = persistent_frames(n_frames, c.columns, c.offset);
    const auto index = testing::index_of(c.lengths, c.window - 1 + c.lag);
    const data::FrameMatrix matrix(testing::matrix(frames, c.columns));
    const auto source = data::flat_source(matrix, index, c.window, c.lag);
    Machine machine(2);
    const PcaModel model = testing::fit_one(*source, 4, machine.execution, GetParam());
    EXPECT_EQ(model.n_samples, index.n_rows());
    expect_close(model, svd(windows(frames, c.columns, index, c.window, c.lag)), exact ? 1e-5 : 1e-4,
                 exact ? 1e-6 : 1e-4);
  }
}

TEST_P(PcaMethods, SameBitsForAnyThreadCountAndBudget) {
  const auto frames = persistent_frames(6000, 40, 1.0);
  const auto index = testing::index_of({1000, 5, 2000, 2995}, 5);
  const data::FrameMatrix matrix(testing::matrix(frames, 40));
  const auto source = data::flat_source(matrix, index, 4, 2);
  Machine one(1);
  const PcaModel reference = testing::fit_one(*source, 3, one.execution, GetParam());
  for (const int threads : {2, 3}) {
    Machine machine(threads, std::int64_t{1} << 30);
    const PcaModel model = testing::fit_one(*source, 3, machine.execution, GetParam());
    EXPECT_EQ(model.components, reference.components);
    EXPECT_EQ(model.explained_variance, reference.explained_variance);
    EXPECT_EQ(model.mean, reference.mean);
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, PcaMethods,
                         ::testing::Values(PcaMethod::kCovariance, PcaMethod::kIncrementalSvd),
                         [](const auto& info) {
                           return info.param == PcaMethod::kCovariance ? "covariance" : "incremental_svd";
                         });

TEST(Pca, ContextsOfSeveralLagsAreFittedTogether) {
  for (const std::int64_t columns : {12, 64}) {  // products by difference, and by frequency
    const std::int64_t window = 5;
    const auto frames = persistent_frames(2400, columns, 0.5);
    const auto index = testing::index_of({700, 9, 30, 1661}, window - 1 + 4);
    const data::FrameMatrix matrix(testing::matrix(frames, columns));
    const auto rows = data::flat_source(matrix, index, window + 3, 1);
    PcaTask task = testing::whole_rows(rows->shape(), 4, PcaMethod::kCovariance);
    task.window = window;
    task.starts = {3, 2, 0};  // lags 1, 2, 4
    Machine machine(2);
    const std::vector<PcaModel> models = fit_pca(*rows, task, machine.execution);
    ASSERT_EQ(models.size(), 3u);
    std::vector<PcaScores> scores;
    for (std::size_t i = 0; i < 3; ++i) {
      const Eigen::MatrixXd contexts =
          windows(frames, columns, index, window, std::vector<std::int64_t>{1, 2, 4}[i]);
      expect_close(models[i], svd(contexts), 1e-5, 1e-6);
      scores.push_back({&models[i], task.starts[i],
                        store::scratch_matrix(testing::scratch_folder(), store::ElementType::kFloat32,
                                              index.n_rows(), 4)});
    }
    pca_scores(scores, window, *rows, machine.execution, "scores");
    for (std::size_t i = 0; i < 3; ++i) {
      const std::int64_t lag = std::vector<std::int64_t>{1, 2, 4}[i];
      const auto alone = data::flat_source(matrix, index, window, lag);
      std::vector<PcaScores> one(1);
      one[0] = {
          &models[i], 0,
          store::scratch_matrix(testing::scratch_folder(), store::ElementType::kFloat32, index.n_rows(), 4)};
      pca_scores(one, window, *alone, machine.execution, "scores");
      for (std::int64_t v = 0; v < index.n_rows() * 4; ++v) {
        EXPECT_NEAR(scores[i].out.data<float>()[v], one[0].out.data<float>()[v], 1e-5) << lag << " " << v;
      }
    }
  }
}

TEST(Pca, LargeCovarianceUsesKrylovAndStaysAccurate) {
  const std::int64_t columns = 90;
  const auto frames = persistent_frames(3000, columns, 0.5);
  const auto index = testing::index_of({3000}, 8);
  const data::FrameMatrix matrix(testing::matrix(frames, columns));
  const auto source = data::flat_source(matrix, index, 8, 1);
  Machine machine(2);
  const PcaModel model = testing::fit_one(*source, 6, machine.execution, PcaMethod::kCovariance);
  expect_close(model, svd(windows(frames, columns, index, 8, 1)), 1e-5, 1e-6);
}

TEST(Pca, ConstantRowsHaveNoVarianceAndOrthonormalComponents) {
  const std::vector<float> frames(400, 3.5f);
  const auto index = testing::index_of({100}, 2);
  const data::FrameMatrix matrix(testing::matrix(frames, 4));
  const auto source = data::flat_source(matrix, index, 2, 1);
  for (const PcaMethod method : {PcaMethod::kCovariance, PcaMethod::kIncrementalSvd}) {
    Machine machine(1);
    const PcaModel model = testing::fit_one(*source, 3, machine.execution, method);
    const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> components(
        model.components.data(), 3, 8);
    EXPECT_LE((components * components.transpose() - Eigen::MatrixXd::Identity(3, 3)).norm(), 1e-12);
    for (const double variance : model.explained_variance) EXPECT_EQ(variance, 0.0);
    for (const double ratio : model.explained_variance_ratio) EXPECT_EQ(ratio, 0.0);
  }
}

struct WarningObserver : Observer {
  void log(LogLevel level, std::string_view text) override {
    if (level == LogLevel::kWarning) warnings += text;
  }
  std::string warnings;
};

TEST(Pca, RowsThatVaryTooLittleForFloat32ProductsCountAsConstant) {
  for (const float scale : {1.0f, 0x1p-40f, 0x1p-62f, 0x1p-70f}) {
    auto frames = persistent_frames(300, 4, 0.0);
    for (float& value : frames) value *= scale;
    const auto index = testing::index_of({300}, 2);
    const data::FrameMatrix matrix(testing::matrix(frames, 4));
    const auto source = data::flat_source(matrix, index, 2, 1);
    Machine machine(1);
    WarningObserver observer;
    core::Execution execution{machine.pool, machine.memory, observer};
    const PcaModel model = testing::fit_one(*source, 3, execution, PcaMethod::kCovariance);
    if (scale >= 0x1p-40f) {
      expect_close(model, svd(windows(frames, 4, index, 2, 1)), 1e-5, 1e-6);
      EXPECT_EQ(observer.warnings, "");
      continue;
    }
    EXPECT_EQ(model.explained_variance, std::vector<double>(3, 0.0)) << scale;
    EXPECT_EQ(model.explained_variance_ratio, std::vector<double>(3, 0.0)) << scale;
    for (const double loading : model.components) EXPECT_TRUE(std::isfinite(loading));
    EXPECT_NE(observer.warnings.find("count as constant"), std::string::npos) << scale;
  }
}

TEST(Pca, RefusesMoreComponentsThanRowsOrValues) {
  const auto frames = persistent_frames(20, 4, 0.0);
  const auto index = testing::index_of({20}, 2);
  const data::FrameMatrix matrix(testing::matrix(frames, 4));
  const auto source = data::flat_source(matrix, index, 2, 1);
  Machine machine(1);
  for (const std::int64_t k : {0, 9, 19})
    EXPECT_THROW(testing::fit_one(*source, k, machine.execution), Error) << k;
}

TEST(PcaScores, AreTheFloat32RoundingOfFloat64Projections) {
  const auto frames = persistent_frames(3000, 16, 1e4);
  const auto index = testing::index_of({1000, 30, 1970}, 9);
  const data::FrameMatrix matrix(testing::matrix(frames, 16));
  const auto source = data::flat_source(matrix, index, 6, 4);
  Machine machine(3);
  const PcaModel model = testing::fit_one(*source, 5, machine.execution);
  auto scores =
      store::scratch_matrix(testing::scratch_folder(), store::ElementType::kFloat32, index.n_rows(), 5);
  std::vector<PcaScores> all(1);
  all[0] = {&model, 0, std::move(scores)};
  pca_scores(all, 6, *source, machine.execution, "scores");
  const Eigen::MatrixXd rows = windows(frames, 16, index, 6, 4);
  const Eigen::Map<const Eigen::RowVectorXd> mean(model.mean.data(), model.dim);
  const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> components(
      model.components.data(), 5, model.dim);
  const Eigen::MatrixXd expected = (rows.rowwise() - mean) * components.transpose();
  for (std::int64_t r = 0; r < index.n_rows(); ++r) {
    for (std::int64_t c = 0; c < 5; ++c) {
      EXPECT_NEAR(all[0].out.data<float>()[r * 5 + c], expected(r, c),
                  1e-7 * std::abs(expected(r, c)) + 1e-8);
    }
  }
}

}  // namespace
}  // namespace phase0::models
