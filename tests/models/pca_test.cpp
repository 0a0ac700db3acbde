#include "models/pca.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <numeric>

#include "models/sources.h"
#include "models/windowed_gram.h"

namespace phase0::models {
namespace {

using testing::Machine;

/// Frames of `columns` values with a few strong directions that persist over time, plus an offset.
std::vector<float> persistent_frames(std::int64_t n, std::int64_t columns, double offset) {
  core::Random random(21);
  std::vector<float> frames(static_cast<std::size_t>(n * columns));
  double state[4] = {};
  for (std::int64_t t = 0; t < n; ++t) {
    for (double& s : state) s = 0.9 * s + random.normal();
    for (std::int64_t j = 0; j < columns; ++j) {
      double value = offset + 0.3 * random.normal();
      for (int s = 0; s < 4; ++s)
        value += state[s] * std::sin(static_cast<double>((s + 1) * (j + 1))) * (4 - s);
      frames[static_cast<std::size_t>(t * columns + j)] = static_cast<float>(value);
    }
  }
  return frames;
}

/// The windows as a float64 matrix, straight from the definition.
Eigen::MatrixXd windows(const std::vector<float>& frames, std::int64_t columns,
                        const data::SampleIndex& index, std::int64_t window, std::int64_t lag) {
  Eigen::MatrixXd rows(index.n_rows(), window * columns);
  std::int64_t row = 0;
  for (const auto& u : index.utterances()) {
    for (std::int64_t t = u.first_t; t < u.n_frames; ++t, ++row) {
      for (std::int64_t i = 0; i < window * columns; ++i) {
        rows(row, i) = static_cast<double>(
            frames[static_cast<std::size_t>((u.frame_offset + t - lag - window + 1) * columns + i)]);
      }
    }
  }
  return rows;
}

struct Reference {
  Eigen::VectorXd mean, variance;
  Eigen::MatrixXd components;  // [F, F]
  double total = 0;
};

Reference svd(const Eigen::MatrixXd& rows) {
  Reference reference;
  reference.mean = rows.colwise().mean();
  const Eigen::MatrixXd centred = rows.rowwise() - reference.mean.transpose();
  const Eigen::BDCSVD<Eigen::MatrixXd> decomposition(centred, Eigen::ComputeThinV);
  reference.variance = decomposition.singularValues().array().square() / static_cast<double>(rows.rows() - 1);
  reference.components = decomposition.matrixV().transpose();
  reference.total = centred.squaredNorm() / static_cast<double>(rows.rows() - 1);
  return reference;
}

void expect_close(const PcaModel& model, const Reference& reference, double value_tolerance,
                  double cosine_slack) {
  for (std::int64_t c = 0; c < model.k; ++c) {
    const double variance = reference.variance[c];
    EXPECT_NEAR(model.explained_variance[static_cast<std::size_t>(c)], variance, value_tolerance * variance)
        << c;
    EXPECT_NEAR(model.explained_variance_ratio[static_cast<std::size_t>(c)], variance / reference.total,
                value_tolerance * variance / reference.total);
    const Eigen::Map<const Eigen::VectorXd> component(model.components.data() + c * model.dim, model.dim);
    EXPECT_GE(std::abs(component.dot(reference.components.row(c))), 1 - cosine_slack) << c;
    Eigen::Index largest = 0;
    component.cwiseAbs().maxCoeff(&largest);
    EXPECT_GT(component[largest], 0);
  }
  for (std::int64_t i = 0; i < model.dim; ++i) {
    EXPECT_NEAR(model.mean[static_cast<std::size_t>(i)], reference.mean[i],
                1e-6 * (1 + std::abs(reference.mean[i])));
  }
}

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
    const PcaModel model = fit_pca(*source, 4, machine.execution, GetParam());
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
  const PcaModel reference = fit_pca(*source, 3, one.execution, GetParam());
  for (const int threads : {2, 3}) {
    Machine machine(threads, std::int64_t{1} << 30);
    const PcaModel model = fit_pca(*source, 3, machine.execution, GetParam());
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

TEST(Pca, LargeCovarianceUsesKrylovAndStaysAccurate) {
  const std::int64_t columns = 90;
  const auto frames = persistent_frames(3000, columns, 0.5);
  const auto index = testing::index_of({3000}, 8);
  const data::FrameMatrix matrix(testing::matrix(frames, columns));
  const auto source = data::flat_source(matrix, index, 8, 1);
  Machine machine(2);
  const PcaModel model = fit_pca(*source, 6, machine.execution, PcaMethod::kCovariance);
  expect_close(model, svd(windows(frames, columns, index, 8, 1)), 1e-5, 1e-6);
}

TEST(Pca, MergedPartsEqualTheWhole) {
  const auto frames = persistent_frames(2000, 10, 2.0);
  const auto index = testing::index_of({900, 1100}, 4);
  const data::FrameMatrix matrix(testing::matrix(frames, 10));
  const auto source = data::flat_source(matrix, index, 3, 2);
  core::ThreadPool pool(2);
  const std::vector<float> shift(10, 2.0f);
  const auto sum_up = [&](std::int64_t first, std::int64_t n) {
    auto gram = std::make_unique<WindowedGram>(3, shift);
    std::vector<data::FeatureBlock> blocks(1);
    source->load(first, n, blocks[0]);
    gram->add(blocks, pool);
    return gram;
  };
  const auto whole = sum_up(0, index.n_rows());
  const auto merged = sum_up(0, 777);
  const auto rest = sum_up(777, index.n_rows() - 777);
  merged->merge(*rest, pool);
  EXPECT_EQ(merged->n(), whole->n());
  whole->finish(pool);
  merged->finish(pool);
  EXPECT_NEAR(merged->total_variance(), whole->total_variance(), 1e-6 * whole->total_variance());
  const std::vector<double> x = {1, -2, 3, 0.5, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2,
                                 2, 2,  2, 2,   2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1};
  std::vector<double> y(30);
  std::vector<double> z(30);
  whole->apply(x.data(), y.data(), 1, pool);
  merged->apply(x.data(), z.data(), 1, pool);
  for (std::size_t i = 0; i < 30; ++i) EXPECT_NEAR(y[i], z[i], 1e-5 * whole->total_variance());
}

TEST(Pca, SmallBudgetFallsBackToIncrementalSvdAndTinyOneIsRefused) {
  const auto frames = persistent_frames(1500, 160, 0.0);
  const auto index = testing::index_of({1500}, 16);
  const data::FrameMatrix matrix(testing::matrix(frames, 160));
  const auto source = data::flat_source(matrix, index, 16, 1);
  const auto need = [&](PcaMethod method) {
    return core::MemoryBudget::kBaseBytes + pca_bytes(source->shape(), 2, method, 1);
  };
  ASSERT_LT(need(PcaMethod::kIncrementalSvd), need(PcaMethod::kCovariance));
  Machine roomy(1, need(PcaMethod::kCovariance));
  EXPECT_EQ(fit_pca(*source, 2, roomy.execution).method, "covariance");
  Machine small(1, need(PcaMethod::kCovariance) - 1);
  EXPECT_EQ(fit_pca(*source, 2, small.execution).method, "incremental_svd");
  Machine tiny(1, need(PcaMethod::kIncrementalSvd) - 1);
  try {
    fit_pca(*source, 2, tiny.execution);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kMemory);
  }
}

TEST(Pca, ConstantRowsHaveNoVarianceAndOrthonormalComponents) {
  const std::vector<float> frames(400, 3.5f);
  const auto index = testing::index_of({100}, 2);
  const data::FrameMatrix matrix(testing::matrix(frames, 4));
  const auto source = data::flat_source(matrix, index, 2, 1);
  for (const PcaMethod method : {PcaMethod::kCovariance, PcaMethod::kIncrementalSvd}) {
    Machine machine(1);
    const PcaModel model = fit_pca(*source, 3, machine.execution, method);
    const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> components(
        model.components.data(), 3, 8);
    EXPECT_LE((components * components.transpose() - Eigen::MatrixXd::Identity(3, 3)).norm(), 1e-12);
    for (const double variance : model.explained_variance) EXPECT_EQ(variance, 0.0);
    for (const double ratio : model.explained_variance_ratio) EXPECT_EQ(ratio, 0.0);
  }
}

TEST(Pca, RefusesMoreComponentsThanRowsOrValues) {
  const auto frames = persistent_frames(20, 4, 0.0);
  const auto index = testing::index_of({20}, 2);
  const data::FrameMatrix matrix(testing::matrix(frames, 4));
  const auto source = data::flat_source(matrix, index, 2, 1);
  Machine machine(1);
  for (const std::int64_t k : {0, 9, 19}) EXPECT_THROW(fit_pca(*source, k, machine.execution), Error) << k;
}

TEST(PcaScores, AreTheFloat32RoundingOfFloat64Projections) {
  const auto frames = persistent_frames(3000, 16, 1e4);
  const auto index = testing::index_of({1000, 30, 1970}, 9);
  const data::FrameMatrix matrix(testing::matrix(frames, 16));
  const auto source = data::flat_source(matrix, index, 6, 4);
  Machine machine(3);
  const PcaModel model = fit_pca(*source, 5, machine.execution);
  auto scores =
      store::scratch_matrix(testing::scratch_folder(), store::ElementType::kFloat32, index.n_rows(), 5);
  pca_scores(model, *source, scores, machine.execution, "scores");
  const Eigen::MatrixXd rows = windows(frames, 16, index, 6, 4);
  const Eigen::Map<const Eigen::RowVectorXd> mean(model.mean.data(), model.dim);
  const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> components(
      model.components.data(), 5, model.dim);
  const Eigen::MatrixXd expected = (rows.rowwise() - mean) * components.transpose();
  for (std::int64_t r = 0; r < index.n_rows(); ++r) {
    for (std::int64_t c = 0; c < 5; ++c) {
      EXPECT_NEAR(scores.data<float>()[r * 5 + c], expected(r, c), 1e-7 * std::abs(expected(r, c)) + 1e-8);
    }
  }
}

}  // namespace
}  // namespace phase0::models
