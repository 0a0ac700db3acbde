#include "linalg/blas.h"

#include <cblas.h>

#include <string>

#include "core/check.h"
#include "linalg/blas_buffers.h"

namespace phase0::linalg {
namespace {

int as_int(std::int64_t value) {
  PHASE0_CHECK(value >= 0 && value <= 0x7fffffff);
  return static_cast<int>(value);
}

/// BLAS threads would change results with their number, and fight ours; the serial flavour has none.
void use_one_thread() {
  static const bool done = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(done);
}

/// Held for the length of a product.
struct Product {
  Product() { use_one_thread(); }
  BlasBuffer buffer;
};

}  // namespace

void multiply_abt(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                  const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  const Product product;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, as_int(m), as_int(n), as_int(k), 1.0f, a, as_int(lda),
              b, as_int(ldb), 0.0f, c, as_int(ldc));
}

void multiply_abt(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
                  const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
  const Product product;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, as_int(m), as_int(n), as_int(k), 1.0, a, as_int(lda),
              b, as_int(ldb), 0.0, c, as_int(ldc));
}

void multiply_ab(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                 const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  const Product product;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, as_int(m), as_int(n), as_int(k), 1.0f, a,
              as_int(lda), b, as_int(ldb), 0.0f, c, as_int(ldc));
}

void add_ata(std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, float* c, std::int64_t ldc) {
  const Product product;
  cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, as_int(n), as_int(k), 1.0f, a, as_int(lda), 1.0f, c,
              as_int(ldc));
}

void add_atb(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b,
             std::int64_t ldb, float* c, std::int64_t ldc) {
  const Product product;
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, as_int(m), as_int(n), as_int(k), 1.0f, a, as_int(lda),
              b, as_int(ldb), 1.0f, c, as_int(ldc));
}

void add_abt(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
             const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
  const Product product;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, as_int(m), as_int(n), as_int(k), 1.0, a, as_int(lda),
              b, as_int(ldb), 1.0, c, as_int(ldc));
}

void add_ab(std::int64_t m, std::int64_t n, std::int64_t k, const double* a, std::int64_t lda,
            const double* b, std::int64_t ldb, double* c, std::int64_t ldc) {
  const Product product;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, as_int(m), as_int(n), as_int(k), 1.0, a, as_int(lda),
              b, as_int(ldb), 1.0, c, as_int(ldc));
}

const char* blas_description() {
  static const std::string text = std::string(openblas_get_config()) + " " + openblas_get_corename();
  return text.c_str();
}

}  // namespace phase0::linalg
