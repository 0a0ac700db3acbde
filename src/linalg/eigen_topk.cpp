#include "linalg/eigen_topk.h"

#include <Eigen/Dense>
#include <algorithm>

#include "core/check.h"
#include "core/random.h"
#include "phase0/error.h"

namespace phase0::linalg {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kTolerance = 1e-10;
// Far below the tolerance: near convergence the new directions are what little is left of the residuals.
constexpr double kDependent = 1e-14;
constexpr int kMostPasses = 5;
constexpr double kUnshortened = 0.7;
constexpr std::int64_t kBlocks = 6;
constexpr int kWideCycles = 200;
constexpr int kMostCycles = 2000;
/// Vectors at once when eigenvalues crowd: longer Krylov sequences in the same basis.
constexpr Index kNarrowWidth = 2;

EigenPairs as_pairs(const VectorXd& values, const Eigen::Ref<const MatrixXd>& vectors) {
  EigenPairs pairs;
  pairs.vectors.assign(vectors.data(), vectors.data() + vectors.size());
  for (Index i = 0; i < vectors.cols(); ++i) pairs.values.push_back(std::max(values[i], 0.0));
  return pairs;
}

/// The operator's matrix, from its products with the unit vectors.
MatrixXd matrix_of(const SymmetricOperator& apply, std::int64_t n) {
  const MatrixXd identity = MatrixXd::Identity(n, n);
  MatrixXd matrix(n, n);
  apply(identity.data(), matrix.data(), n);
  return matrix;
}

EigenPairs full(const SymmetricOperator& apply, std::int64_t n, std::int64_t k) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(matrix_of(apply, n));
  PHASE0_CHECK(solver.info() == Eigen::Success);
  return as_pairs(solver.eigenvalues().reverse(), solver.eigenvectors().rightCols(k).rowwise().reverse());
}

/// An orthonormal basis V that grows column by column, with A V beside it.
class Krylov {
 public:
  Krylov(const SymmetricOperator& apply, std::int64_t n, const EigenMethod& method)
      : apply_(apply),
        random_(core::derive_seed(0, "krylov")),
        width_(method.width),
        basis_(n, method.columns),
        image_(n, method.columns) {}

  EigenPairs solve(std::int64_t k) {
    append(MatrixXd::Zero(basis_.rows(), width_));
    for (int cycle = 0; cycle < kMostCycles; ++cycle) {
      fill(cycle < kWideCycles ? width_ : kNarrowWidth);
      restart(cycle + 1 < kWideCycles ? width_ : basis_.cols() / 2);
      const VectorXd residuals =
          (image_.leftCols(k) - basis_.leftCols(k) * ritz_.head(k).asDiagonal()).colwise().norm();
      const double enough = kTolerance * std::max(ritz_[0], 0.0);
      if (residuals.maxCoeff() <= enough) return as_pairs(ritz_, basis_.leftCols(k));
      if (cycle + 1 < kWideCycles) continue;
      Index open = 0;
      while (residuals[open] <= enough) ++open;
      append(image_.middleCols(open, std::min<Index>(kNarrowWidth, k - open)));
    }
    throw Error(ErrorKind::kData,
                "the largest eigenvalues lie too close together to find their eigenvectors in " +
                    std::to_string(kMostCycles) + " cycles");
  }

 private:
  /// Krylov blocks of `width` until the basis is full.
  void fill(Index width) {
    while (columns_ < basis_.cols()) {
      const Index count = std::min<Index>(width, basis_.cols() - columns_);
      append(image_.middleCols(columns_ - std::min(width, columns_), count));
    }
  }

  /// Adds the directions of `block`, orthonormalised; a direction that is already spanned becomes a random
  /// one.
  void append(const MatrixXd& block) {
    const Index first = columns_;
    for (Index c = 0; c < block.cols(); ++c) {
      VectorXd column = block.col(c);
      const double norm = column.norm();
      if (!(norm > 0) || !orthonormalise(column, kDependent * norm)) {
        do {
          for (double& value : column) value = random_.normal();
        } while (!orthonormalise(column, 1e-8 * column.norm()));
      }
      basis_.col(columns_++) = column;
    }
    apply_(basis_.col(first).data(), image_.col(first).data(), columns_ - first);
  }

  /// Until a pass no longer shortens the column: what it does shorten by is the basis's own error, which
  /// would grow from column to column (Daniel, Gragg, Kaufman, Stewart 1976). False when nothing is left.
  bool orthonormalise(VectorXd& column, double least) const {
    const auto basis = basis_.leftCols(columns_);
    double before = column.norm();
    for (int pass = 0; pass < kMostPasses; ++pass) {
      column -= (basis * (basis.transpose() * column)).eval();
      const double after = column.norm();
      if (after <= least) return false;
      if (pass > 0 && after > kUnshortened * before) {
        column.normalize();
        return true;
      }
      before = after;
    }
    return false;
  }

  /// Rayleigh-Ritz: the basis becomes the best `keep` vectors of its span, with their images for free.
  void restart(Index keep) {
    const auto basis = basis_.leftCols(columns_);
    const auto image = image_.leftCols(columns_);
    MatrixXd projected = basis.transpose() * image;
    projected = (0.5 * (projected + projected.transpose())).eval();
    const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(projected);
    PHASE0_CHECK(solver.info() == Eigen::Success);
    ritz_ = solver.eigenvalues().reverse();
    const MatrixXd best = solver.eigenvectors().rowwise().reverse().leftCols(keep);
    basis_.leftCols(keep) = (basis * best).eval();
    image_.leftCols(keep) = (image * best).eval();
    columns_ = keep;
  }

  const SymmetricOperator& apply_;
  core::Random random_;
  Index width_;
  Index columns_ = 0;
  MatrixXd basis_;
  MatrixXd image_;
  VectorXd ritz_;
};

}  // namespace

EigenMethod eigen_method(std::int64_t n, std::int64_t k) {
  EigenMethod method;
  method.width = std::min(n, k + 8);
  method.columns = std::min(n, kBlocks * method.width);
  method.krylov = n > kDenseEigenSize && 4 * method.columns <= n;
  // Basis, images, and half a basis of a restart or a block being added; or the matrix beside the unit
  // vectors, then beside the solver's own. With the result and what it is copied from.
  method.workspace_bytes =
      8 * n * ((method.krylov ? 2 * method.columns + method.columns / 2 : 2 * n) + 2 * k);
  if (method.krylov) {
    method.applications_min = static_cast<double>(kBlocks);
    method.applications_expected = 20;
    method.applications_max = 200;
  } else {
    method.width = method.columns = n;
  }
  return method;
}

EigenPairs largest_eigenpairs(const SymmetricOperator& apply, std::int64_t n, std::int64_t k) {
  PHASE0_CHECK(n >= 1 && k >= 1 && k <= n);
  const EigenMethod method = eigen_method(n, k);
  return method.krylov ? Krylov(apply, n, method).solve(k) : full(apply, n, k);
}

}  // namespace phase0::linalg
