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
/// Musco, Musco 2015) for large n, a full decomposition for small n. The block is wider than k, so repeated
/// eigenvalues are found. Where eigenvalues crowd at the top, restarts keep more and more cycles are taken,
/// in the same memory. 1 <= k <= n. Deterministic. Residuals are within 1e-10 of the largest value; throws
/// Error (kData) when that is not reached.
EigenPairs largest_eigenpairs(const SymmetricOperator& apply, std::int64_t n, std::int64_t k);

/// Up to this size the full decomposition is taken.
inline constexpr std::int64_t kDenseEigenSize = 512;

/// How largest_eigenpairs goes about it.
struct EigenMethod {
  bool krylov = false;       ///< else the full decomposition
  std::int64_t width = 0;    ///< vectors that the operator is applied to at once; n for the full one
  std::int64_t columns = 0;  ///< of the basis that is kept, with its images; n for the full one
  std::int64_t workspace_bytes = 0;
  /// How often the operator is applied: at least, to eigenvalues that fall by a power (16 to 21 measured) and
  /// to those that fall exponentially (130). Ones that crowd at the top can take more.
  double applications_min = 1, applications_expected = 1, applications_max = 1;
};
EigenMethod eigen_method(std::int64_t n, std::int64_t k);

}  // namespace phase0::linalg
