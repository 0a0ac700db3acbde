#include "data/spread_rows.h"

#include <algorithm>

namespace phase0::data {
namespace {

constexpr std::int64_t kSampleRows = 64;
constexpr std::int64_t kSampleBytes = std::int64_t{1} << 20;  // of more than a few rows

}  // namespace

std::vector<float> spread_rows(const FeatureSource& rows) {
  const std::int64_t few = kSampleBytes / (rows.frame_dim() * static_cast<std::int64_t>(sizeof(float)));
  const std::int64_t n = std::min(std::clamp<std::int64_t>(few, 8, kSampleRows), rows.n_rows());
  std::vector<float> values;
  FeatureBlock block;
  for (std::int64_t i = 0; i < n; ++i) {
    rows.load(i * rows.n_rows() / n, 1, block);
    values.insert(values.end(), block.matrix(), block.matrix() + rows.frame_dim());
  }
  return values;
}

std::vector<float> column_medians(const std::vector<float>& rows, std::int64_t d) {
  if (rows.empty()) return std::vector<float>(static_cast<std::size_t>(d), 0.0f);
  std::vector<float> medians;
  for (std::int64_t j = 0; j < d; ++j) {
    std::vector<float> column;
    for (std::int64_t at = j; at < std::ssize(rows); at += d)
      column.push_back(rows[static_cast<std::size_t>(at)]);
    const auto half = column.begin() + std::ssize(column) / 2;
    std::nth_element(column.begin(), half, column.end());
    medians.push_back(*half);
  }
  return medians;
}

}  // namespace phase0::data
