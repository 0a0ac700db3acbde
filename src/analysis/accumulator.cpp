#include "analysis/accumulator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/check.h"
#include "core/checked.h"
#include "core/fields.h"
#include "phase0/error.h"

namespace phase0::linalg {

template <class Visit, core::Like<SlotRows> T>
void each_field(Visit& visit, T& rows) {
  visit(rows.count, rows.norm);
}

}  // namespace phase0::linalg

namespace phase0::analysis {
namespace {

/// Below this share of the raw second moment a sum of squared deviations is rounding noise: rows that are all
/// equal.
constexpr double kNoise = 1e-12;
constexpr double kMinVariance = 1e-10;

double gaussian_entropy(const TileSums& sums, const TileRow& squares, std::int64_t width) {
  const auto n = static_cast<double>(sums.count);
  double sum_of_logs = 0;
  for (std::size_t j = 0; j < static_cast<std::size_t>(width); ++j) {
    const double mean = sums.sum[j] / n;
    sum_of_logs += std::log(std::max(squares[j] / n - mean * mean, kMinVariance));
  }
  return 0.5 * sum_of_logs;
}

}  // namespace

void GroupSums::add_tile(const GroupSums& tile) {
  n_rows = tile.n_rows;
  n_clusters = tile.n_clusters;
  raw += tile.raw;
  within += tile.within;
  total += tile.total;
}

std::optional<double> GroupSums::variance_ratio() const {
  if (n_rows == 0 || !(total > kNoise * raw)) return std::nullopt;
  return within / total;
}

std::optional<double> GroupSums::adjusted_variance_ratio() const {
  if (n_rows <= n_clusters || !variance_ratio()) return std::nullopt;
  return (within / static_cast<double>(n_rows - n_clusters)) / (total / static_cast<double>(n_rows - 1));
}

void EntropySums::add_tile(const EntropySums& tile) {
  unconditional += tile.unconditional;
  weighted += tile.weighted;
  n_rows = tile.n_rows;
}

void TileSums::add(const TileSums& other) {
  count += other.count;
  norm += other.norm;
  linalg::kernels().add_tile(other.sum.data(), sum.data());
}

double TileSums::deviation() const {
  return count == 0
             ? 0.0
             : std::max(0.0, norm - linalg::kernels().tile_norm(sum.data()) / static_cast<double>(count));
}

void Reduction::add(const TileSums& cluster) {
  if (cluster.count == 0) return;
  ++n_clusters_;
  within_ += cluster.deviation();
  all_.add(cluster);
}

GroupSums Reduction::result() const {
  return {all_.count, n_clusters_, all_.norm, within_, all_.deviation()};
}

TileAccumulator::TileAccumulator(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares,
                                 std::span<double> zeros)
    : n_clusters_(n_clusters),
      n_planes_(n_planes),
      rows_(static_cast<std::size_t>(n_clusters * n_planes)),
      sums_(zeros.data()),
      squares_(with_squares ? zeros.data() + n_clusters * n_planes * kTileWidth : nullptr) {
  PHASE0_CHECK(std::ssize(zeros) == n_values(n_clusters, n_planes, with_squares));
}

TileAccumulator::TileAccumulator(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares)
    : TileAccumulator(n_clusters, n_planes, with_squares,
                      core::ZeroedBuffer<double>(n_values(n_clusters, n_planes, with_squares))) {}

TileAccumulator::TileAccumulator(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares,
                                 core::ZeroedBuffer<double> own)
    : TileAccumulator(n_clusters, n_planes, with_squares,
                      std::span(own.data(), static_cast<std::size_t>(own.size()))) {
  own_ = std::move(own);
}

void TileAccumulator::add(std::span<const Entry> entries, const double* z, const double* norms) {
  linalg::kernels().add_to_slots(entries.data(), std::ssize(entries), z, norms,
                                 {rows_.data(), sums_, squares_});
}

TileSums TileAccumulator::pool(std::int64_t cluster, std::span<const std::int32_t> planes) const {
  TileSums pooled;
  for (const std::int32_t plane : planes) {
    const std::int64_t slot = cluster * n_planes_ + plane;
    const linalg::SlotRows& rows = rows_[static_cast<std::size_t>(slot)];
    if (rows.count == 0) continue;
    pooled.count += rows.count;
    pooled.norm += rows.norm;
    linalg::kernels().add_tile(sums_ + slot * kTileWidth, pooled.sum.data());
  }
  return pooled;
}

TileRow TileAccumulator::pool_squares(std::int64_t cluster, std::span<const std::int32_t> planes) const {
  TileRow pooled{};
  for (const std::int32_t plane : planes) {
    const std::int64_t slot = cluster * n_planes_ + plane;
    linalg::kernels().add_tile(squares_ + slot * kTileWidth, pooled.data());
  }
  return pooled;
}

GroupSums TileAccumulator::reduce(std::span<const std::int32_t> clusters,
                                  std::span<const std::int32_t> planes) const {
  Reduction reduction;
  for (const std::int32_t cluster : clusters) reduction.add(pool(cluster, planes));
  return reduction.result();
}

EntropySums TileAccumulator::entropy(std::span<const std::int32_t> planes, std::int64_t width) const {
  PHASE0_CHECK(squares_ != nullptr || n_clusters_ == 0);
  EntropySums result;
  TileSums all;
  TileRow all_squares{};
  for (std::int64_t cluster = 0; cluster < n_clusters_; ++cluster) {
    const TileSums sums = pool(cluster, planes);
    if (sums.count == 0) continue;
    const TileRow squares = pool_squares(cluster, planes);
    all.add(sums);
    linalg::kernels().add_tile(squares.data(), all_squares.data());
    if (sums.count < 2) continue;
    result.weighted += static_cast<double>(sums.count) * gaussian_entropy(sums, squares, width);
    result.n_rows += sums.count;
  }
  if (all.count > 0) result.unconditional = gaussian_entropy(all, all_squares, width);
  return result;
}

std::vector<double> TileAccumulator::cluster_variances(std::span<const std::int32_t> planes) const {
  std::vector<double> variances;
  variances.reserve(static_cast<std::size_t>(n_clusters_));
  for (std::int64_t cluster = 0; cluster < n_clusters_; ++cluster) {
    const TileSums sums = pool(cluster, planes);
    variances.push_back(sums.count == 0 ? 0.0 : sums.deviation() / static_cast<double>(sums.count));
  }
  return variances;
}

void TileAccumulator::clear(std::span<const std::int32_t> clusters) {
  for (const std::int32_t cluster : clusters) {
    const std::int64_t first = cluster * n_planes_;
    std::fill_n(rows_.begin() + first, n_planes_, linalg::SlotRows{});
    std::fill_n(sums_ + first * kTileWidth, n_planes_ * kTileWidth, 0.0);
    if (squares_ != nullptr) std::fill_n(squares_ + first * kTileWidth, n_planes_ * kTileWidth, 0.0);
  }
}

std::int64_t TileAccumulator::n_values(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares) {
  return core::checked_mul(core::checked_mul(n_clusters, n_planes), kTileWidth * (with_squares ? 2 : 1));
}

std::int64_t TileAccumulator::bytes(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares) {
  const std::int64_t slots = core::checked_mul(n_clusters, n_planes, "clusters x planes", ErrorKind::kMemory);
  return core::checked_mul(slots, kTileWidth * 8 * (with_squares ? 2 : 1) + 16, "accumulators",
                           ErrorKind::kMemory);
}

void TileAccumulator::save_rows(core::ByteSink& sink) const {
  core::write_fields(sink, rows_);
}

void TileAccumulator::load_rows(core::ByteSource& source) {
  auto rows = core::read_fields<std::vector<linalg::SlotRows>>(source);
  if (rows.size() != rows_.size()) throw Error(ErrorKind::kStorage, "holds the sums of other clusters");
  rows_ = std::move(rows);
}

}  // namespace phase0::analysis
