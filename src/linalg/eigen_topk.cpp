#include "linalg/eigen_topk.h"

#include <Eigen/Dense>
#include <algorithm>
#include <optional>

#include "core/check.h"
#include "core/random.h"

namespace phase0::linalg {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kTolerance = 1e-10;
// Far below the tolerance: near convergence the new directions are what little is left of the residuals.
constexpr double kDependent = 1e-14;
constexpr int kMaxCycles = 200;
constexpr std::int64_t kBlocks = 6;

std::int64_t block_width(std::int64_t n, std::int64_t k) {
  return std::min(n, k + 8);
}
std::int64_t basis_width(std::int64_t n, std::int64_t k) {
  return std::min(n, kBlocks * block_width(n, k));
}
bool wants_krylov(std::int64_t n, std::int64_t k) {
  return n > kDenseEigenSize && 4 * basis_width(n, k) <= n;
}

EigenPairs as_pairs(const VectorXd& values, const MatrixXd& vectors, std::int64_t k) {
  EigenPairs pairs;
  for (Index i = 0; i < k; ++i) {
    pairs.values.push_back(std::max(values[i], 0.0));
    const VectorXd vector = vectors.col(i);
    pairs.vectors.insert(pairs.vectors.end(), vector.data(), vector.data() + vector.size());
  }
  return pairs;
}

EigenPairs full(const SymmetricOperator& apply, std::int64_t n, std::int64_t k) {
  const MatrixXd identity = MatrixXd::Identity(n, n);
  MatrixXd matrix(n, n);
  apply(identity.data(), matrix.data(), n);
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(matrix);
  PHASE0_CHECK(solver.info() == Eigen::Success);
  return as_pairs(solver.eigenvalues().reverse(), solver.eigenvectors().rowwise().reverse(), k);
}

/// An orthonormal basis V that grows column by column, with A V beside it.
class Krylov {
 public:
  Krylov(const SymmetricOperator& apply, std::int64_t n, std::int64_t k)
      : apply_(apply),
        random_(core::derive_seed(0, "krylov")),
        width_(block_width(n, k)),
        basis_(n, basis_width(n, k)),
        image_(n, basis_width(n, k)) {
    append(MatrixXd::Zero(n, width_));
  }

  std::optional<EigenPairs> solve(std::int64_t k) {
    for (int cycle = 0; cycle < kMaxCycles; ++cycle) {
      while (columns_ < basis_.cols()) {
        const Index count = std::min<Index>(width_, basis_.cols() - columns_);
        append(image_.middleCols(columns_ - std::min(width_, columns_), count));
      }
      restart();
      const auto residuals = image_.leftCols(k) - basis_.leftCols(k) * ritz_.head(k).asDiagonal();
      const double largest = std::max(ritz_[0], 0.0);
      if (residuals.colwise().norm().maxCoeff() <= kTolerance * largest || largest == 0) {
        return as_pairs(ritz_, basis_.leftCols(k), k);
      }
    }
    return std::nullopt;
  }

 private:
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

  bool orthonormalise(VectorXd& column, double least) const {
    const auto basis = basis_.leftCols(columns_);
    for (int pass = 0; pass < 2; ++pass) {
      column -= (basis * (basis.transpose() * column)).eval();
      if (column.norm() <= least) return false;
      if (pass == 0) least = 0.1 * column.norm();
    }
    column.normalize();
    return true;
  }

  /// Rayleigh-Ritz: the basis becomes the best `width_` vectors of its span, with their images for free.
  void restart() {
    const auto basis = basis_.leftCols(columns_);
    const auto image = image_.leftCols(columns_);
    MatrixXd projected = basis.transpose() * image;
    projected = (0.5 * (projected + projected.transpose())).eval();
    const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(projected);
    PHASE0_CHECK(solver.info() == Eigen::Success);
    ritz_ = solver.eigenvalues().reverse();
    const MatrixXd best = solver.eigenvectors().rowwise().reverse().leftCols(width_);
    basis_.leftCols(width_) = (basis * best).eval();
    image_.leftCols(width_) = (image * best).eval();
    columns_ = width_;
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

std::int64_t eigen_workspace_bytes(std::int64_t n, std::int64_t k) {
  const std::int64_t columns = wants_krylov(n, k) ? 3 * basis_width(n, k) : 4 * n;
  return 8 * n * columns;
}

EigenPairs largest_eigenpairs(const SymmetricOperator& apply, std::int64_t n, std::int64_t k) {
  PHASE0_CHECK(n >= 1 && k >= 1 && k <= n);
  if (wants_krylov(n, k)) {
    if (auto pairs = Krylov(apply, n, k).solve(k)) return *std::move(pairs);
  }
  return full(apply, n, k);
}

}  // namespace phase0::linalg
