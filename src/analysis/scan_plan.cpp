#include "analysis/scan_plan.h"

#include <algorithm>

#include "analysis/accumulator.h"
#include "analysis/confidence.h"
#include "analysis/label_sampler.h"
#include "core/checked.h"

namespace phase0::analysis {
namespace {

constexpr std::int64_t kChunkBytes = std::int64_t{4} << 20;
constexpr std::int64_t kMaxChunkRows = 1024;
constexpr std::int64_t kMinChunkRows = 16;
constexpr std::int64_t kMaxLoadRows = 128;
constexpr std::int64_t kMaxMappedBytes = std::int64_t{64} << 20;
constexpr std::int64_t kFloatBytes = 4;
constexpr std::int64_t kDoubleBytes = 8;

std::int64_t cluster_count(const ScanShape& shape, const Unit& unit) {
  return shape.n_clusters[static_cast<std::size_t>(unit.cell)];
}

bool reads_ids(const Unit& unit) {
  return unit.kind != UnitKind::kPermuted;
}

/// Bytes that adding `unit` to a scan costs when `previous` is the scan's last unit so far (null: none).
std::int64_t added_bytes(const ScanShape& shape, const Unit& unit, const Unit* previous) {
  std::int64_t bytes = unit_bytes(shape, unit);
  if (previous == nullptr || !previous->shares_stream(unit)) bytes += stream_bytes(shape, unit);
  const bool mapped = previous != nullptr && previous->cell == unit.cell && reads_ids(*previous);
  if (reads_ids(unit) && !mapped) bytes += mapped_cell_bytes(shape.n_rows);
  return bytes;
}

}  // namespace

bool Unit::shares_stream(const Unit& other) const {
  const auto stream = [](const Unit& u) {
    return u.kind == UnitKind::kSpeakers ? UnitKind::kObserved : u.kind;
  };
  return cell == other.cell && index == other.index && stream(*this) == stream(other);
}

std::int64_t ScanShape::n_tiles() const {
  return core::ceil_div(dim, kTileWidth);
}

std::int64_t ScanShape::tile_width(std::int64_t tile) const {
  return std::min(kTileWidth, dim - tile * kTileWidth);
}

std::int64_t chunk_rows(std::int64_t dim) {
  return std::clamp(kChunkBytes / (kDoubleBytes * std::max<std::int64_t>(dim, 1)), kMinChunkRows,
                    kMaxChunkRows);
}

std::int64_t load_rows(std::int64_t dim) {
  return std::min(kMaxLoadRows, chunk_rows(dim));
}

std::vector<Unit> list_units(const ScanShape& shape) {
  std::vector<Unit> units;
  const auto add = [&](UnitKind kind, std::int64_t cell, std::int64_t index) {
    for (std::int64_t tile = 0; tile < shape.n_tiles(); ++tile) units.push_back({kind, cell, index, tile});
  };
  for (std::int64_t cell = 0; cell < static_cast<std::int64_t>(shape.n_clusters.size()); ++cell) {
    if (shape.n_clusters[static_cast<std::size_t>(cell)] == 0) continue;
    add(UnitKind::kObserved, cell, 0);
    add(UnitKind::kSpeakers, cell, 0);
    for (std::int64_t slice = 0; slice < shape.n_slices; ++slice) add(UnitKind::kConfidence, cell, slice);
    for (std::int64_t p = 0; p < shape.permutations; ++p) add(UnitKind::kPermuted, cell, p);
  }
  return units;
}

std::int64_t scan_base_bytes(const ScanShape& shape, int threads) {
  const std::int64_t rows = chunk_rows(shape.dim);
  const std::int64_t row_bytes = core::checked_mul(shape.dim, kFloatBytes);
  // Normalised tiles and row norms; slice masks.
  const std::int64_t chunk = rows * (shape.n_tiles() * (kTileWidth + 1) * kDoubleBytes + kDoubleBytes);
  // A load: rows, and for computed rows up to two frames each before they are combined.
  const std::int64_t loads = threads * 3 * load_rows(shape.dim) * row_bytes;
  // Pages of this chunk and the next, two frames a row at most, and the page at either end of a segment.
  const std::int64_t pages = 2 * rows * (2 * row_bytes + 64);
  const std::int64_t flags = std::min(shape.n_rows, kMaxMappedBytes);
  return chunk + loads + pages + flags;
}

std::int64_t unit_bytes(const ScanShape& shape, const Unit& unit) {
  const std::int64_t clusters = cluster_count(shape, unit);
  const auto sums = static_cast<std::int64_t>(sizeof(GroupSums));
  switch (unit.kind) {
    case UnitKind::kObserved:
      return TileAccumulator::bytes(clusters, shape.n_planes, true) + clusters * kDoubleBytes +
             shape.n_slices * 2 * sums;
    case UnitKind::kSpeakers:
      return TileAccumulator::bytes(clusters, shape.n_planes, false) + clusters * (kFloatBytes + 1) +
             core::checked_mul(shape.n_speakers, shape.n_slices * sums);
    case UnitKind::kConfidence:
      return TileAccumulator::bytes(clusters, kCurvePoints, false) + kCurvePoints * sums;
    case UnitKind::kPermuted:
      return TileAccumulator::bytes(clusters, shape.n_planes, false) + shape.n_slices * sums;
  }
  return 0;
}

std::int64_t stream_bytes(const ScanShape& shape, const Unit& unit) {
  const std::int64_t per_row =
      unit.kind == UnitKind::kConfidence ? 1 : std::max<std::int64_t>(shape.n_planes, 1);
  // Twice for the growth of the vector.
  const std::int64_t entries = 2 * chunk_rows(shape.dim) * per_row * static_cast<std::int64_t>(sizeof(Entry));
  return entries + (unit.kind == UnitKind::kPermuted ? LabelSampler::bytes(cluster_count(shape, unit)) : 0);
}

std::int64_t mapped_cell_bytes(std::int64_t n_rows) {
  return std::min(8 * n_rows, kMaxMappedBytes);
}

bool release_every_chunk(std::int64_t n_rows) {
  return 8 * n_rows > kMaxMappedBytes;
}

std::vector<Scan> pack(const ScanShape& shape, const std::vector<Unit>& units, std::int64_t free_bytes) {
  std::vector<Scan> scans;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (!scans.empty()) {
      const std::int64_t more = added_bytes(shape, units[i], &units[i - 1]);
      if (scans.back().bytes + more <= free_bytes) {
        scans.back().bytes += more;
        ++scans.back().count;
        continue;
      }
    }
    scans.push_back({i, 1, added_bytes(shape, units[i], nullptr)});
  }
  return scans;
}

}  // namespace phase0::analysis
