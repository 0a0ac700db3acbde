#include "models/weighted_draw.h"

namespace phase0::models {
namespace {

/// Rows that are skipped at once on the way to a drawn one.
constexpr std::int64_t kStride = 256;

double sum_of_stride(const float* values) {
  double sums[4] = {};
  for (std::int64_t i = 0; i < kStride; i += 4) {
    for (std::int64_t l = 0; l < 4; ++l) sums[l] += static_cast<double>(values[i + l]);
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

std::int64_t drawn_row(const float* weights, std::int64_t n, double target) {
  std::int64_t row = 0;
  for (; n - row > kStride; row += kStride) {
    const double stride = sum_of_stride(weights + row);
    if (target < stride) break;
    target -= stride;
  }
  for (; row < n; ++row) {
    const auto weight = static_cast<double>(weights[row]);
    if (target < weight) return row;
    target -= weight;
  }
  do --row;
  while (row > 0 && !(weights[row] > 0));
  return row;
}

}  // namespace phase0::models
