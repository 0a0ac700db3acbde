#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/memory.h"
#include "data/frame_matrix.h"
#include "data/sample_index.h"

namespace phase0::data {

/// Consecutive rows whose windows overlap: row i of the run is frames first_frame + i .. first_frame + i +
/// window - 1 of the block.
struct Run {
  std::int64_t first_row = 0;  ///< inside the block
  std::int64_t n_rows = 0;
  std::int64_t first_frame = 0;  ///< inside the block's frames
};

inline constexpr std::int64_t kFloatBytes = sizeof(float);

/// Some consecutive rows of a feature, in memory as float32. A row of the feature is `window` frames of
/// `frame_dim` values, oldest first; a plain matrix is the case window = 1. Reused from load to load.
struct FeatureBlock {
  std::int64_t first_row = 0;
  std::int64_t n_rows = 0;
  std::int64_t window = 1;
  std::int64_t frame_dim = 0;
  std::int64_t n_frames = 0;
  core::AlignedBuffer<float> frames;   ///< [n_frames, frame_dim]
  core::AlignedBuffer<float> staging;  ///< for sources that compute their rows from frames
  std::vector<Run> runs;               ///< in row order
  const float* view = nullptr;         ///< the rows where the source holds them; `frames` is not filled then

  /// Rows as a matrix [n_rows, frame_dim]; only when window is 1.
  const float* matrix() const { return view != nullptr ? view : frames.data(); }
};

/// The sizes of a source, known before any data: what memory plans are made of.
struct SourceShape {
  std::int64_t n_rows = 0;
  std::int64_t window = 1;
  std::int64_t frame_dim = 0;
  std::int64_t block_rows = 0;
  std::int64_t block_bytes = 0;  ///< of one loaded canonical block, its buffers, at most
  std::int64_t ahead_bytes = 0;  ///< of one that was read ahead, as it is in the file, at most
  bool computed = false;         ///< rows are computed afresh by every load
  std::int64_t lanes = 1;        ///< as of FeatureSource

  std::int64_t dim() const { return window * frame_dim; }
  std::int64_t n_blocks() const { return (n_rows + block_rows - 1) / block_rows; }
};

/// A feature of every row of a split: read-only, thread-safe, row ranges in any order.
class FeatureSource {
 public:
  virtual ~FeatureSource() = default;

  std::int64_t n_rows() const { return n_rows_; }
  std::int64_t window() const { return window_; }
  std::int64_t frame_dim() const { return frame_dim_; }
  /// Length of a row: window * frame_dim.
  std::int64_t dim() const { return window_ * frame_dim_; }

  /// Features of the same samples that stand in one source: every canonical block has the rows of the first
  /// lane, then as many of the second, and so on. A block's rows of one lane are those of the same block of a
  /// source with this lane alone.
  std::int64_t lanes() const { return lanes_; }
  std::int64_t lane_rows() const { return n_rows_ / lanes_; }
  /// Of a block: the number of its first row in each lane, and how many rows of each lane it has.
  std::int64_t lane_first(std::int64_t block) const { return block_first(block) / lanes_; }
  std::int64_t lane_size(std::int64_t block) const { return block_size(block) / lanes_; }

  /// Canonical blocks: rows [b * block_rows, (b + 1) * block_rows). The size depends on the row length and
  /// the lanes alone, so partial results per block, combined in block order, are the same whatever the budget
  /// and the thread count.
  std::int64_t block_rows() const { return block_rows_; }
  std::int64_t n_blocks() const { return (n_rows_ + block_rows_ - 1) / block_rows_; }
  std::int64_t block_first(std::int64_t block) const { return block * block_rows_; }
  std::int64_t block_size(std::int64_t block) const;

  /// Rows [first, first + n) into `out`; with several lanes those of a canonical block.
  virtual void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const = 0;
  /// Of rows [first, first + n) those that are `wanted`, given as ascending numbers from `first` on, into
  /// `out`: packed as a matrix [wanted, frame_dim], when window is 1. Reads little more than they need; or
  /// all, where all were given to read_ahead(). With several lanes the rows are those of a canonical block.
  virtual void load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                         bool were_read_ahead, FeatureBlock& out) const;
  /// A hint for files larger than the page cache: exactly these rows will be loaded soon. At most
  /// `limit_bytes` of what was read ahead are held.
  virtual void read_ahead(std::int64_t /*first*/, std::int64_t /*n*/, std::int64_t /*limit_bytes*/) const {}
  /// Forgets what was read ahead and not loaded.
  virtual void drop_ahead() const {}
  /// Upper bounds of what one loaded canonical block takes, and one that was read ahead, in bytes.
  virtual std::int64_t block_bytes() const = 0;
  virtual std::int64_t ahead_bytes() const = 0;
  virtual bool computed() const { return false; }
  /// Whether loading consecutive rows costs nothing.
  virtual bool in_memory() const { return false; }
  SourceShape shape() const {
    return {n_rows_, window_, frame_dim_, block_rows_, block_bytes(), ahead_bytes(), computed(), lanes_};
  }

  /// Canonical block `block` into `out`.
  void load_block(std::int64_t block, FeatureBlock& out) const {
    load(block_first(block), block_size(block), out);
  }

 protected:
  /// `n_rows` in all lanes.
  FeatureSource(std::int64_t n_rows, std::int64_t window, std::int64_t frame_dim, std::int64_t lanes = 1);
  /// Makes room in `out` for rows [first, first + n) of a matrix, of which `n_wanted` will stand there.
  void begin_matrix(std::int64_t first, std::int64_t n, std::int64_t n_wanted, FeatureBlock& out) const;

 private:
  std::int64_t n_rows_;
  std::int64_t window_;
  std::int64_t frame_dim_;
  std::int64_t lanes_;
  std::int64_t block_rows_;
};

/// Rows in a canonical block of rows of `frame_dim` values: a power of two near 2 MiB of float32.
std::int64_t canonical_block_rows(std::int64_t frame_dim);

/// Shapes of the sources below for frames of `dim` values stored in `frame_bytes` bytes.
SourceShape flat_shape(const SampleIndex& index, std::int64_t window, std::int64_t dim,
                       std::int64_t frame_bytes);
SourceShape means_shape(const SampleIndex& index, std::int64_t window, const std::vector<std::int64_t>& lags,
                        std::int64_t dim, std::int64_t frame_bytes);
SourceShape delta_shape(const SampleIndex& index, std::int64_t dim, std::int64_t frame_bytes);
SourceShape matrix_shape(std::int64_t n_rows, std::int64_t columns);

/// `flat` for a lag: the window as a view over the frames. `index` must outlive the source, here and below.
std::unique_ptr<FeatureSource> flat_source(FrameMatrix frames, const SampleIndex& index, std::int64_t window,
                                           std::int64_t lag);
/// `mean` for each lag, a lane each: float64 average of the window's frames, oldest first, rounded to
/// float32. Frames that several lags need are read once, and windows that several have are averaged once.
std::unique_ptr<FeatureSource> means_source(FrameMatrix frames, const SampleIndex& index, std::int64_t window,
                                            const std::vector<std::int64_t>& lags);
/// `delta`: x[t] - x[t-1] in float32.
std::unique_ptr<FeatureSource> delta_source(FrameMatrix frames, const SampleIndex& index);
/// A stored matrix [N, d] (float32).
std::unique_ptr<FeatureSource> matrix_source(store::MappedDataset matrix);
/// A matrix [n, columns] in memory, of the shape matrix_shape(n, columns). Consecutive rows are not copied:
/// blocks are good for as long as the source. `reserved` is the memory that it takes.
std::unique_ptr<FeatureSource> memory_source(core::AlignedBuffer<float> matrix, std::int64_t columns,
                                             core::Reservation reserved);

/// Rows of `base` (window 1) in the given half-open ranges, which ascend and do not overlap. Copies the
/// ranges.
std::unique_ptr<FeatureSource> subset_source(const FeatureSource& base,
                                             std::vector<std::pair<std::int64_t, std::int64_t>> ranges);

}  // namespace phase0::data
