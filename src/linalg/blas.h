#pragma once

#include <cstdint>

/// Row-major products through BLAS. Every call runs on the calling thread alone, so that a result depends
/// neither on the number of threads nor on who else computes; callers run one product per worker. Any
/// dimension may be 0. All throw Error (kMemory) when the process may have no work buffer (blas_buffers.h).
namespace phase0::linalg {

/// What the BLAS library keeps for packed panels, for every thread that ever called it.
inline constexpr std::int64_t kBlasThreadBytes = std::int64_t{2} << 20;

/// c [m, n] = a [m, k] b [n, k]^T; row strides lda >= k, ldb >= k, ldc >= n.
void multiply_abt(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  const float* b, std::int64_t ldb, float* c, std::int64_t ldc);
void multiply_abt(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                  const double* b, std::int64_t ldb, double* c, std::int64_t ldc);

/// c [m, n] = a [m, k] b [k, n]; row strides lda >= k, ldb >= n, ldc >= n.
void multiply_ab(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                 const float* b, std::int64_t ldb, float* c, std::int64_t ldc);

/// c [n, n] += a [k, n]^T a, only what is on the diagonal and right of it; row strides lda >= n, ldc >= n.
void add_ata(std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, float* c, std::int64_t ldc);

/// c [m, n] += a [k, m]^T b [k, n]; row strides lda >= m, ldb >= n, ldc >= n.
void add_atb(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
             std::int64_t ldb, float* c, std::int64_t ldc);

/// c [m, n] += a [m, k] b [n, k]^T; row strides lda >= k, ldb >= k, ldc >= n.
void add_abt(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
             const double* b, std::int64_t ldb, double* c, std::int64_t ldc);
/// c [m, n] += a [m, k] b [k, n]; row strides lda >= k, ldb >= n, ldc >= n.
void add_ab(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
            const double* b, std::int64_t ldb, double* c, std::int64_t ldc);

/// Name, version and chosen kernels of the BLAS library.
const char* blas_description();

}  // namespace phase0::linalg
