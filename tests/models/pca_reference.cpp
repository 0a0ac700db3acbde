#include "models/pca_reference.h"

#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <cmath>

#include "core/random.h"

namespace phase0::models::testing {

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

}  // namespace phase0::models::testing
