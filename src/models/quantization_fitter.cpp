#include "models/quantization_fitter.h"

#include <algorithm>
#include <limits>
#include <span>

#include "core/check.h"
#include "core/checked.h"
#include "models/scalar_kmeans.h"

namespace phase0::models {
namespace {

using Kind = data::Quantization::Kind;

/// Values of a group that its palette is found from, about; and sampled rows at least.
constexpr std::int64_t kSampleValues = 16384;
constexpr std::int64_t kLeastRows = 1024;
/// Of all groups: what keeps the sample of wide rows small.
constexpr std::int64_t kMostSampleValues = std::int64_t{1} << 23;
/// Points that the k-means of a group tells apart.
constexpr std::int64_t kMostPoints = 16384;

std::int64_t sample_size(std::int64_t n_rows, std::int64_t dim, std::int64_t group) {
  const std::int64_t wanted = std::max(kLeastRows, std::min(kSampleValues / group, kMostSampleValues / dim));
  return std::min(n_rows, wanted);
}

/// Ascending, with the last entry repeated where there are fewer values than entries.
void write_palette(const std::vector<double>& centroids, float* palette) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(data::kPaletteEntries); ++i) {
    // The sum makes a 0 of a -0.
    palette[i] = static_cast<float>(centroids[std::min(i, centroids.size() - 1)]) + 0.0F;
  }
}

}  // namespace

QuantizationFitter::QuantizationFitter(Kind kind, std::int64_t n_rows, std::int64_t dim, std::int64_t group,
                                       int workers)
    : kind_(kind), dim_(dim), group_(group) {
  PHASE0_CHECK(n_rows >= 1 && dim >= 1 && group >= 1 && group <= dim && workers >= 1);
  if (kind == Kind::kInt8) {
    least_.resize(workers * dim);
    greatest_.resize(workers * dim);
    least_.fill(std::numeric_limits<float>::infinity());
    greatest_.fill(-std::numeric_limits<float>::infinity());
  } else {
    sample_rows_ = sample_rows(n_rows, dim, group);
    sample_.resize(dim * std::ssize(sample_rows_));
  }
}

std::int64_t QuantizationFitter::fixed_bytes(Kind kind, std::int64_t n_rows, std::int64_t dim,
                                             std::int64_t group) {
  const std::int64_t groups = core::ceil_div(dim, group);
  if (kind == Kind::kInt8) return 8 * groups;
  const std::int64_t rows = sample_size(n_rows, dim, group);
  return 8 * rows + core::checked_mul(4 * rows, dim, "sample") + 4 * data::kPaletteEntries * groups;
}

std::int64_t QuantizationFitter::worker_bytes(Kind kind, std::int64_t dim, std::int64_t group) {
  if (kind == Kind::kInt8) return 8 * dim;
  // All points of a group as they stand before they are put together.
  const std::int64_t values = core::checked_mul(group, std::max(kLeastRows, kSampleValues / group), "sample");
  return 2 * 2 * 8 * values + scalar_kmeans_bytes(kMostPoints, data::kPaletteEntries);
}

std::vector<std::int64_t> QuantizationFitter::sample_rows(std::int64_t n_rows, std::int64_t dim,
                                                          std::int64_t group) {
  const std::int64_t n = sample_size(n_rows, dim, group);
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) rows.push_back(n_rows / n * i + n_rows % n * i / n);
  return rows;
}

std::int64_t QuantizationFitter::groups() const {
  return core::ceil_div(dim_, group_);
}

void QuantizationFitter::add(int worker, std::int64_t first, std::int64_t n, const float* rows) {
  if (kind_ == Kind::kInt8) {
    widen(worker, n, rows);
  } else {
    sample(first, n, rows);
  }
}

void QuantizationFitter::widen(int worker, std::int64_t n, const float* rows) {
  float* least = least_.data() + worker * dim_;
  float* greatest = greatest_.data() + worker * dim_;
  for (std::int64_t r = 0; r < n; ++r, rows += dim_) {
    for (std::int64_t j = 0; j < dim_; ++j) {
      least[j] = rows[j] < least[j] ? rows[j] : least[j];
      greatest[j] = rows[j] > greatest[j] ? rows[j] : greatest[j];
    }
  }
}

void QuantizationFitter::sample(std::int64_t first, std::int64_t n, const float* rows) {
  const std::int64_t size = std::ssize(sample_rows_);
  const auto begin = std::lower_bound(sample_rows_.begin(), sample_rows_.end(), first);
  for (auto row = begin; row != sample_rows_.end() && *row < first + n; ++row) {
    float* to = sample_.data() + (row - sample_rows_.begin());
    const float* from = rows + (*row - first) * dim_;
    for (std::int64_t j = 0; j < dim_; ++j) to[j * size] = from[j];
  }
}

data::Quantization QuantizationFitter::steps() const {
  data::Quantization tables;
  tables.kind = kind_;
  tables.group = group_;
  const std::int64_t workers = least_.size() / dim_;
  for (std::int64_t begin = 0; begin < dim_; begin += group_) {
    float least = least_[begin];
    float greatest = greatest_[begin];
    for (std::int64_t worker = 0; worker < workers; ++worker) {
      for (std::int64_t j = begin; j < std::min(begin + group_, dim_); ++j) {
        least = std::min(least, least_[worker * dim_ + j]);
        greatest = std::max(greatest, greatest_[worker * dim_ + j]);
      }
    }
    const auto low =
        static_cast<double>(least + 0.0F);  // which of 0 and -0 was met first is nobody's business
    const auto scale = static_cast<float>((static_cast<double>(greatest + 0.0F) - low) / 255);
    tables.scale.push_back(scale);
    tables.offset.push_back(static_cast<float>(low + 128 * static_cast<double>(scale)));
  }
  return tables;
}

data::Quantization QuantizationFitter::finish(core::Execution& execution) {
  if (kind_ == Kind::kInt8) return steps();
  data::Quantization tables;
  tables.kind = kind_;
  tables.group = group_;
  tables.palette.resize(static_cast<std::size_t>(groups() * data::kPaletteEntries));
  const std::int64_t size = std::ssize(sample_rows_);
  const core::TaskScope task(execution.observer, "palettes", groups());
  execution.pool.run(groups(), [&](std::int64_t g, int) {
    execution.check_stop();
    const std::int64_t begin = g * group_;
    const std::int64_t columns = std::min(group_, dim_ - begin);
    const std::span<float> values(sample_.data() + begin * size, static_cast<std::size_t>(columns * size));
    write_palette(scalar_kmeans(line_points(values, kMostPoints), data::kPaletteEntries),
                  tables.palette.data() + g * data::kPaletteEntries);
    execution.observer.task_advance(1, 0);
  });
  return tables;
}

}  // namespace phase0::models
