#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/split_scan.h"
#include "core/aligned_buffer.h"
#include "core/threads.h"
#include "data/feature_source.h"

namespace phase0::analysis {

/// A chunk's deltas by tile, less the centre and in units of sigma, and its rows' slices. Reused from chunk
/// to chunk. What is referred to must outlive it.
class ChunkData {
 public:
  ChunkData(const SplitWork& work, const ScanShape& shape, std::vector<std::int64_t> tiles);

  /// May be repeated for the same rows in other chunks.
  void load(const Chunk& chunk, core::ThreadPool& pool);
  /// Of the rows their slices alone.
  void load_masks(const Chunk& chunk);
  /// Frees the buffers.
  void drop();

  std::span<const std::uint64_t> masks() const { return masks_; }
  const double* z(std::int64_t tile) const { return z_.data() + tile * rows_ * kTileWidth; }
  const double* norms(std::int64_t tile) const { return norms_.data() + tile * rows_; }

 private:
  void load_range(const LoadRange& range, data::FeatureBlock& block);

  const SplitWork& work_;
  const ScanShape& shape_;
  std::vector<std::int64_t> tiles_;
  std::vector<double> scale_;               ///< [D], 1 / sigma
  std::int64_t rows_ = 0;                   ///< of the chunk
  std::vector<data::FeatureBlock> blocks_;  ///< [worker]
  core::AlignedBuffer<double> z_;           ///< [tile, chunk rows, kTileWidth]
  core::AlignedBuffer<double> norms_;       ///< [tile, chunk rows]
  std::vector<std::uint64_t> masks_;        ///< [chunk rows]
};

}  // namespace phase0::analysis
