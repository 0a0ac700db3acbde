#include "analysis/chunk_data.h"

#include <utility>

#include "core/zeroed_buffer.h"
#include "linalg/kernels.h"

namespace phase0::analysis {

ChunkData::ChunkData(const SplitWork& work, const ScanShape& shape, std::vector<std::int64_t> tiles)
    : work_(work), shape_(shape), tiles_(std::move(tiles)) {
  for (const double sigma : work.input.sigma) scale_.push_back(1 / sigma);
}

void ChunkData::load(const Chunk& chunk, core::ThreadPool& pool) {
  rows_ = chunk.n_rows;
  blocks_.resize(static_cast<std::size_t>(pool.size()));
  z_.resize(shape_.n_tiles() * rows_ * kTileWidth);
  norms_.resize(shape_.n_tiles() * rows_);
  core::prefer_huge_pages(z_.data(), z_.size() * static_cast<std::int64_t>(sizeof(double)));
  pool.run(static_cast<std::int64_t>(chunk.loads.size()), [&](std::int64_t i, int worker) {
    load_range(chunk.loads[static_cast<std::size_t>(i)], blocks_[static_cast<std::size_t>(worker)]);
  });
  load_masks(chunk);
}

void ChunkData::load_masks(const Chunk& chunk) {
  masks_.resize(static_cast<std::size_t>(chunk.n_rows));
  std::size_t next = 0;
  for (const RowSegment& segment : chunk.segments) {
    for_each_mask(work_.slices, work_.rows, *segment.utterance, segment.first_row, segment.n_rows,
                  [&](std::int64_t, std::uint64_t mask) { masks_[next++] = mask; });
  }
}

void ChunkData::drop() {
  blocks_.clear();
  z_ = {};
  norms_ = {};
  masks_ = {};
}

void ChunkData::load_range(const LoadRange& range, data::FeatureBlock& block) {
  const linalg::Kernels& kernels = linalg::kernels();
  const data::FeatureSource& source = *work_.rows.delta;
  source.load(range.first_row, range.n_rows, block);
  for (const std::int64_t tile : tiles_) {
    const std::int64_t first = tile * kTileWidth;
    const std::int64_t chunk_first = tile * rows_ + range.chunk_row;
    for (std::int64_t r = 0; r < range.n_rows; ++r) {
      norms_[chunk_first + r] = kernels.normalise_tile(
          block.matrix() + r * shape_.dim + first, work_.centre.data() + first, scale_.data() + first,
          shape_.tile_width(tile), z_.data() + (chunk_first + r) * kTileWidth);
    }
  }
}

}  // namespace phase0::analysis
