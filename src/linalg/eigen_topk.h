#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace phase0::linalg {

/// The k largest eigenvalues of a symmetric positive semi-definite matrix, descending, and their unit
/// eigenvectors.
struct EigenPairs {
  std::vector<double> values;   ///< [k]
  std::vector<double> vectors;  ///< [k, n] row-major, orthonormal
};

/// Y = A X for `count` vectors, each of n consecutive values.
using SymmetricOperator = std::function<void(const double* x, double* y, std::int64_t count)>;

/// Restarted block Krylov with full orthogonalisation and Rayleigh-Ritz (Golub, Van Loan 2013, section 10.3;
/// Musco, Musco 2015) for large n, a full decomposition for small n or when Krylov does not converge. The
/// block is wider than k, so repeated eigenvalues are found. 1 <= k <= n. Deterministic. Residuals are within
/// 1e-10 of the largest value.
EigenPairs largest_eigenpairs(const SymmetricOperator& apply, std::int64_t n, std::int64_t k);

/// Up to this size the full decomposition is taken.
inline constexpr std::int64_t kDenseEigenSize = 512;
/// Working memory of largest_eigenpairs in bytes.
std::int64_t eigen_workspace_bytes(std::int64_t n, std::int64_t k);

}  // namespace phase0::linalg
