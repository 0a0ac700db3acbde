#pragma once

#include <span>
#include <vector>

#include "analysis/split_scan.h"

namespace phase0::analysis {

/// A unit at work: takes in its entries chunk by chunk, then gives its tile's share of the result.
/// Not thread-safe; different units may work at the same time.
class UnitWork {
 public:
  /// `zeros`: unit_values(..) of them, for its sums; needed until `finish`.
  UnitWork(const SplitWork& work, const ScanShape& shape, const Unit& unit, std::span<double> zeros);

  const Unit& unit() const { return unit_; }
  /// z [chunk rows, kTileWidth] and norms [chunk rows] of the unit's tile.
  void consume(const Chunk& chunk, std::span<const Entry> entries, const double* z, const double* norms);
  /// What has been taken in so far, but for the sums, for another of the same unit to go on from. load()
  /// throws Error (kStorage) for what is not of it.
  void save(core::ByteSink& sink) const;
  void load(core::ByteSource& source);
  /// Reduces the accumulator; afterwards only `merge_into` is of use.
  void finish();
  /// Adds the tile's share. To be called in ascending order of tiles.
  void merge_into(std::vector<CellSums>& cells) const;

 private:
  void consume_speakers(const Chunk& chunk, std::span<const Entry> entries, const double* z,
                        const double* norms);
  void end_speaker(std::int32_t slot);
  /// The planes that make up each figure of the unit.
  std::vector<std::vector<std::int32_t>> groups() const;

  const SplitWork& work_;
  Unit unit_;
  std::int64_t width_;
  TileAccumulator sums_;
  std::vector<std::int32_t> touched_;     ///< clusters of the current speaker, kSpeakers only
  std::vector<std::uint8_t> is_touched_;  ///< [cluster], kSpeakers only
  std::vector<GroupSums> groups_;         ///< result: [group], [speaker slot, slice] or [cell, slice]
  std::vector<EntropySums> entropy_;
  std::vector<double> cluster_variance_;
};

}  // namespace phase0::analysis
