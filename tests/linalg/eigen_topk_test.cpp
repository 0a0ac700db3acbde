#include "linalg/eigen_topk.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "phase0/error.h"

namespace phase0::linalg {
namespace {

/// Q diag(values) Q^T with a fixed orthogonal Q.
Eigen::MatrixXd with_spectrum(const Eigen::VectorXd& values) {
  const Eigen::Index n = values.size();
  Eigen::MatrixXd random(n, n);
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j)
      random(i, j) = std::sin(static_cast<double>(3 * i * n + 7 * j + i * j));
  }
  const Eigen::MatrixXd q = Eigen::HouseholderQR<Eigen::MatrixXd>(random).householderQ();
  return q * values.asDiagonal() * q.transpose();
}

void expect_top(const Eigen::VectorXd& values, std::int64_t k) {
  const Eigen::MatrixXd matrix = with_spectrum(values);
  const std::int64_t n = values.size();
  const auto apply = [&](const double* x, double* y, std::int64_t count) {
    Eigen::Map<Eigen::MatrixXd>(y, n, count) = matrix * Eigen::Map<const Eigen::MatrixXd>(x, n, count);
  };
  const EigenPairs pairs = largest_eigenpairs(apply, n, k);
  ASSERT_EQ(std::ssize(pairs.values), k);
  const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> vectors(
      pairs.vectors.data(), k, n);
  for (std::int64_t i = 0; i < k; ++i) {
    EXPECT_NEAR(pairs.values[static_cast<std::size_t>(i)], values[i], 1e-9 * values[0] + 1e-300);
    const Eigen::VectorXd v = vectors.row(i);
    EXPECT_LE((matrix * v - values[i] * v).norm(), 1e-8 * values[0] + 1e-300);
  }
  EXPECT_LE((vectors * vectors.transpose() - Eigen::MatrixXd::Identity(k, k)).norm(), 1e-9);
}

TEST(LargestEigenpairs, FullDecompositionForSmallMatrices) {
  expect_top(Eigen::VectorXd::LinSpaced(20, 20, 1), 5);
  expect_top(Eigen::VectorXd::Constant(1, 3.0), 1);
  expect_top(Eigen::VectorXd::LinSpaced(20, 20, 1), 20);
}

TEST(LargestEigenpairs, KrylovForLargeMatrices) {
  const std::int64_t n = kDenseEigenSize + 32;
  Eigen::VectorXd values(n);
  for (Eigen::Index i = 0; i < n; ++i) values[i] = 100.0 / static_cast<double>(1 + i);
  expect_top(values, 8);
}

TEST(LargestEigenpairs, KrylovConvergesOnASlowlyFallingSpectrum) {
  // As of speech: no gap behind the wanted values. The full decomposition would apply all n unit vectors at
  // once.
  const std::int64_t n = 1500;
  Eigen::VectorXd values(n);
  for (Eigen::Index i = 0; i < n; ++i) values[i] = 100.0 / std::pow(static_cast<double>(1 + i), 0.5);
  values[0] = 3000.0;
  std::int64_t widest = 0;
  const auto apply = [&](const double* x, double* y, std::int64_t count) {
    widest = std::max(widest, count);
    Eigen::Map<Eigen::MatrixXd>(y, n, count) =
        values.asDiagonal() * Eigen::Map<const Eigen::MatrixXd>(x, n, count);
  };
  const EigenPairs pairs = largest_eigenpairs(apply, n, 8);
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(pairs.values[i], values[static_cast<Eigen::Index>(i)], 1e-9 * values[0]);
  EXPECT_LT(widest, n);
}

TEST(LargestEigenpairs, TheBasisStaysOrthogonalWhileMostVectorsHaveConverged) {
  const std::int64_t n = 1000;
  const std::int64_t k = 32;
  Eigen::VectorXd values(n);
  for (Eigen::Index i = 0; i < n; ++i)
    values[i] = std::exp(-8.0 * static_cast<double>(i) / static_cast<double>(n));
  int applications = 0;
  const auto apply = [&](const double* x, double* y, std::int64_t count) {
    ++applications;
    Eigen::Map<Eigen::MatrixXd>(y, n, count) =
        values.asDiagonal() * Eigen::Map<const Eigen::MatrixXd>(x, n, count);
  };
  const EigenPairs pairs = largest_eigenpairs(apply, n, k);
  for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i)
    EXPECT_NEAR(pairs.values[i], values[static_cast<Eigen::Index>(i)], 1e-11);
  EXPECT_LT(applications, 200);
}

TEST(LargestEigenpairs, CrowdedEigenvaluesTakeNoMoreMemory) {
  // A flat top: hundreds of cycles with wide blocks do not separate them.
  const std::int64_t n = 700;
  Eigen::VectorXd values(n);
  for (Eigen::Index i = 0; i < n; ++i)
    values[i] = 1.0 - std::pow(static_cast<double>(i) / static_cast<double>(n), 2);
  for (const std::int64_t k : {1, 4}) {
    const EigenMethod method = eigen_method(n, k);
    ASSERT_TRUE(method.krylov);
    std::int64_t widest = 0;
    const auto apply = [&](const double* x, double* y, std::int64_t count) {
      widest = std::max(widest, count);
      Eigen::Map<Eigen::MatrixXd>(y, n, count) =
          values.asDiagonal() * Eigen::Map<const Eigen::MatrixXd>(x, n, count);
    };
    const EigenPairs pairs = largest_eigenpairs(apply, n, k);
    for (std::int64_t i = 0; i < k; ++i)
      EXPECT_NEAR(pairs.values[static_cast<std::size_t>(i)], values[i], 1e-9);
    EXPECT_EQ(widest, method.width);
  }
}

TEST(LargestEigenpairs, SaysWhenEigenvaluesCannotBeTold) {
  const std::int64_t n = kDenseEigenSize + 1;
  Eigen::VectorXd values(n);
  for (Eigen::Index i = 0; i < n; ++i)
    values[i] = 1.0 - std::pow(static_cast<double>(i) / static_cast<double>(n), 5);
  const auto apply = [&](const double* x, double* y, std::int64_t count) {
    Eigen::Map<Eigen::MatrixXd>(y, n, count) =
        values.asDiagonal() * Eigen::Map<const Eigen::MatrixXd>(x, n, count);
  };
  try {
    largest_eigenpairs(apply, n, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
  }
}

TEST(LargestEigenpairs, RepeatedEigenvaluesLowRankAndZero) {
  const std::int64_t n = kDenseEigenSize + 10;
  Eigen::VectorXd values = Eigen::VectorXd::Constant(n, 1.0);
  values.head(6).setConstant(5.0);
  expect_top(values, 4);
  values.setZero();
  values.head(3) << 3.0, 2.0, 1.0;
  expect_top(values, 6);
  expect_top(Eigen::VectorXd::Zero(n), 2);
}

}  // namespace
}  // namespace phase0::linalg
