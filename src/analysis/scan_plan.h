#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/scan_need.h"

namespace phase0::analysis {

/// What one accumulator computes. The order is the order of the work.
enum class UnitKind : std::uint8_t {
  kObserved,    ///< the assigned ids: variance ratio, entropies, variance of each cluster
  kSpeakers,    ///< the assigned ids inside each speaker
  kConfidence,  ///< the confidence curve of a slice
  kPermuted,    ///< one permutation, of all cells
};

/// One accumulator: one kind of figure, of one cell or of all, over one tile of dimensions. Units are
/// independent of each other, so any of them may share a scan without changing a bit of the result.
struct Unit {
  static constexpr std::int64_t kAllCells = -1;

  UnitKind kind = UnitKind::kObserved;
  std::int64_t cell = 0;   ///< kAllCells with kPermuted
  std::int64_t index = 0;  ///< slice of kConfidence, number of kPermuted
  std::int64_t tile = 0;

  /// Both take their entries from the same stream.
  bool shares_stream(const Unit& other) const;
};

/// The sizes that fix the work on one split.
struct ScanShape {
  std::int64_t n_rows = 0;
  std::int64_t dim = 0;
  std::int64_t n_slices = 0;
  std::int64_t n_planes = 0;
  std::int64_t planes_per_row = 1;  ///< at most
  std::int64_t permutations = 0;
  std::int64_t n_speakers = 0;           ///< with enough rows to be reported
  std::vector<std::int64_t> n_clusters;  ///< effective ones of each cell
  std::int64_t n_pieces = 0;             ///< of the ranks (rank_pieces.h)

  std::int64_t n_tiles() const;
  std::int64_t n_blocks() const;
  std::int64_t tile_width(std::int64_t tile) const;
};

/// Rows of a block: what a worker loads at once. How many are in memory together is tuned. Neither changes
/// any result.
std::int64_t block_rows(std::int64_t dim);

/// Cell by cell, then the permutations; in each stream by stream, inside a stream tile by tile. Cells
/// without clusters have none.
std::vector<Unit> list_units(const ScanShape& shape);

/// What every scan needs: buffers of the blocks and the pages behind them.
core::ScanNeed scan_base_need(const ScanShape& shape);
/// Clusters, or pieces, that the unit's accumulator tells apart.
std::int64_t unit_clusters(const ScanShape& shape, const Unit& unit);
/// Planes of it.
std::int64_t unit_planes(const ScanShape& shape, const Unit& unit);
/// Values that it sums up, TileAccumulator::n_values.
std::int64_t unit_values(const ScanShape& shape, const Unit& unit);
/// Bytes of a unit's accumulator and result.
std::int64_t unit_bytes(const ScanShape& shape, const Unit& unit);
/// Entries that a row has at most in a unit's stream.
std::int64_t entries_per_row(const ScanShape& shape, const Unit& unit);
/// Bytes of ids and distances of a cell that stay mapped during a scan that needs them.
std::int64_t mapped_cell_bytes(std::int64_t n_rows);
/// Larger cells are unmapped after every chunk instead.
bool release_every_chunk(std::int64_t n_rows);

/// Consecutive units that share a scan.
struct Scan {
  std::size_t first = 0;
  std::size_t count = 0;
  core::ScanNeed need;
};
/// As few scans of this size as fit `free_bytes` when filled in order; a unit that does not fit alone gets a
/// scan all the same.
std::vector<Scan> pack(const ScanShape& shape, std::span<const Unit> units, core::ScanSize size,
                       std::int64_t free_bytes);
/// The scans of a split: as wide as does not cost more than a quarter more passes.
std::vector<Scan> plan_scans(const ScanShape& shape, std::span<const Unit> units, int threads,
                             std::int64_t free_bytes);

}  // namespace phase0::analysis
