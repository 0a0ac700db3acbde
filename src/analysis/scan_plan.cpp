#include "analysis/scan_plan.h"

#include <algorithm>

#include "analysis/accumulator.h"
#include "analysis/confidence.h"
#include "analysis/label_sampler.h"
#include "core/checked.h"

namespace phase0::analysis {
namespace {

constexpr std::int64_t kBlockBytes = std::int64_t{512} << 10;
constexpr std::int64_t kMaxBlockRows = 128;
constexpr std::int64_t kMinBlockRows = 16;
/// Tiles of so many rows stay in a second-level cache.
constexpr std::int64_t kWideBlocks = 8;
constexpr std::int64_t kMaxMappedBytes = std::int64_t{64} << 20;
/// One fault may map so much around a page (store/mapped.cpp).
constexpr std::int64_t kMappedAround = std::int64_t{2} << 20;
/// Every chunk passes all sums through the cache: one of a quarter of their size makes that the smaller part.
constexpr std::int64_t kSumsPerChunk = 4;
constexpr std::int64_t kSpareShare = 4;
constexpr std::int64_t kLeastHelpful = std::int64_t{16} << 20;
constexpr std::int64_t kMostHelpful = std::int64_t{64} << 20;
constexpr std::int64_t kFloatBytes = 4;
constexpr std::int64_t kDoubleBytes = 8;

bool reads_ids(const Unit& unit) {
  return unit.kind != UnitKind::kPermuted;
}

/// What adding `unit` to a scan costs when `previous` is the scan's last unit so far (null: none).
core::ScanNeed added_need(const ScanShape& shape, const Unit& unit, const Unit* previous) {
  core::ScanNeed need{unit_bytes(shape, unit), 0, 0};
  if (previous == nullptr || !previous->shares_stream(unit)) {
    need.block_bytes =
        block_rows(shape.dim) * entries_per_row(shape, unit) * static_cast<std::int64_t>(sizeof(Entry));
    if (unit.kind == UnitKind::kPermuted) need.fixed_bytes += LabelSampler::bytes(shape.n_pieces);
  }
  const bool mapped = previous != nullptr && previous->cell == unit.cell && reads_ids(*previous);
  if (reads_ids(unit) && !mapped) need.fixed_bytes += mapped_cell_bytes(shape.n_rows);
  return need;
}

/// Of blocks in flight, beside so many bytes of sums. Not near the budget, where scans keep less in flight.
std::int64_t helpful_bytes(std::int64_t sums_bytes, std::int64_t free_bytes) {
  const std::int64_t spare = std::max<std::int64_t>(free_bytes - sums_bytes, 0) / kSpareShare;
  return std::clamp(std::min(sums_bytes / kSumsPerChunk, spare), kLeastHelpful, kMostHelpful);
}

core::ScanNeed sum(const core::ScanNeed& a, const core::ScanNeed& b) {
  return {a.fixed_bytes + b.fixed_bytes, a.block_bytes + b.block_bytes, a.worker_bytes + b.worker_bytes};
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

std::int64_t ScanShape::n_blocks() const {
  return core::ceil_div(n_rows, block_rows(dim));
}

std::int64_t block_rows(std::int64_t dim) {
  return std::clamp(kBlockBytes / (kDoubleBytes * std::max<std::int64_t>(dim, 1)), kMinBlockRows,
                    kMaxBlockRows);
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
  }
  if (shape.n_pieces == 0) return units;
  for (std::int64_t p = 0; p < shape.permutations; ++p) add(UnitKind::kPermuted, Unit::kAllCells, p);
  return units;
}

core::ScanNeed scan_base_need(const ScanShape& shape) {
  const std::int64_t rows = block_rows(shape.dim);
  const std::int64_t row_bytes = core::checked_mul(shape.dim, kFloatBytes);
  core::ScanNeed need;
  need.fixed_bytes = std::min(shape.n_rows, kMaxMappedBytes);  // energy flags
  // Normalised tiles and row norms; slice masks.
  need.block_bytes = rows * (shape.n_tiles() * (kTileWidth + 1) * kDoubleBytes + kDoubleBytes);
  // A load: rows, for computed rows up to two frames each before they are combined, and the frames' pages.
  need.worker_bytes = 5 * rows * row_bytes + kMappedAround;
  return need;
}

std::int64_t unit_clusters(const ScanShape& shape, const Unit& unit) {
  return unit.kind == UnitKind::kPermuted ? shape.n_pieces
                                          : shape.n_clusters[static_cast<std::size_t>(unit.cell)];
}

std::int64_t unit_planes(const ScanShape& shape, const Unit& unit) {
  return unit.kind == UnitKind::kConfidence ? kCurvePoints : shape.n_planes;
}

std::int64_t unit_values(const ScanShape& shape, const Unit& unit) {
  return TileAccumulator::n_values(unit_clusters(shape, unit), unit_planes(shape, unit),
                                   unit.kind == UnitKind::kObserved);
}

std::int64_t unit_bytes(const ScanShape& shape, const Unit& unit) {
  const std::int64_t clusters = unit_clusters(shape, unit);
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
      return TileAccumulator::bytes(clusters, shape.n_planes, false) +
             std::ssize(shape.n_clusters) * shape.n_slices * sums;
  }
  return 0;
}

std::int64_t entries_per_row(const ScanShape& shape, const Unit& unit) {
  return unit.kind == UnitKind::kConfidence ? 1 : shape.planes_per_row;
}

std::int64_t mapped_cell_bytes(std::int64_t n_rows) {
  return std::min(8 * n_rows, kMaxMappedBytes);
}

bool release_every_chunk(std::int64_t n_rows) {
  return 8 * n_rows > kMaxMappedBytes;
}

std::vector<Scan> pack(const ScanShape& shape, std::span<const Unit> units, core::ScanSize size,
                       std::int64_t free_bytes) {
  std::vector<Scan> scans;
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (!scans.empty()) {
      const core::ScanNeed more = sum(scans.back().need, added_need(shape, units[i], &units[i - 1]));
      if (more.bytes(size.blocks, size.workers) <= free_bytes) {
        scans.back().need = more;
        ++scans.back().count;
        continue;
      }
    }
    scans.push_back({i, 1, sum(scan_base_need(shape), added_need(shape, units[i], nullptr))});
  }
  for (Scan& scan : scans) scan.need.helpful_bytes = helpful_bytes(scan.need.fixed_bytes, free_bytes);
  return scans;
}

std::vector<Scan> plan_scans(const ScanShape& shape, std::span<const Unit> units, int threads,
                             std::int64_t free_bytes) {
  std::vector<Scan> narrow = pack(shape, units, {1, 1}, free_bytes);
  const auto workers = static_cast<int>(std::min<std::int64_t>(threads, shape.n_blocks()));
  for (std::int64_t blocks = std::max<std::int64_t>(kWideBlocks, workers); blocks >= workers; blocks /= 2) {
    const core::ScanSize size{std::min(blocks, shape.n_blocks()), workers};
    std::vector<Scan> wide = pack(shape, units, size, free_bytes);
    const bool fits = std::all_of(wide.begin(), wide.end(), [&](const Scan& scan) {
      return scan.need.bytes(size.blocks, size.workers) <= free_bytes;
    });
    if (fits && 4 * wide.size() <= 5 * narrow.size()) return wide;
  }
  return narrow;
}

}  // namespace phase0::analysis
