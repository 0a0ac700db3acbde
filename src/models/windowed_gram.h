#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/threads.h"
#include "data/feature_source.h"
#include "linalg/eigen_topk.h"

namespace phase0::models {

/// Sums and products of window rows without forming them: an incremental, mergeable covariance of dimension F
/// = W D.
///
/// Block (a, b) of the Gram matrix of windows is the lag-(b - a) product of the frames over the run, moved by
/// a frames: it follows from the block before it by taking off the run's head and adding its tail. So a run
/// costs W products of its frames, and W (W - 1) products of W - 1 head and tail frames, which are collected
/// over many runs. Products are float32 on rows shifted by a constant, added up in float64 in block order:
/// the same bits for any thread count and chunk size.
class WindowedGram {
 public:
  /// `shift` [D] is subtracted from every frame; near the mean it saves digits.
  WindowedGram(std::int64_t window, std::vector<float> shift);

  /// Blocks in row order, after those of earlier calls. Their frames are shifted in place.
  void add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool);
  /// The sums of another part of the rows, with the same window and shift.
  void merge(WindowedGram& other, core::ThreadPool& pool);

  std::int64_t n() const { return n_; }
  std::int64_t dim() const { return window_ * d_; }
  /// Turns the sums into the covariance (ddof 1) in place; no add() or merge() afterwards.
  void finish(core::ThreadPool& pool);
  /// Mean of the rows [F]. After finish(), as the calls below.
  std::vector<double> mean() const;
  /// Sum of the covariance's diagonal.
  double total_variance() const;
  /// Y = covariance X, `count` vectors of F consecutive values. After finish().
  void apply(const double* x, double* y, std::int64_t count, core::ThreadPool& pool) const;

  /// Bytes for a window and dimension, temporaries for `threads` included.
  static std::int64_t bytes(std::int64_t window, std::int64_t d, int threads);

 private:
  struct Panel {
    std::int64_t difference, first, n;  ///< lag b - a, first row and number of rows of the block
  };
  double* block(std::int64_t difference, std::int64_t position) {
    return blocks_[static_cast<std::size_t>(difference)].data() + position * d_ * d_;
  }
  const double* block(std::int64_t difference, std::int64_t position) const {
    return blocks_[static_cast<std::size_t>(difference)].data() + position * d_ * d_;
  }
  void add_edges(core::ThreadPool& pool);
  void add_sums(const data::FeatureBlock& block);
  void add_panel(const data::FeatureBlock& block, const Panel& panel, float* product);
  void subtract_shift(data::FeatureBlock& block) const;
  void apply_panel(const double* x, double* y, std::int64_t count, std::int64_t position, std::int64_t first,
                   std::int64_t n) const;

  std::int64_t window_;
  std::int64_t d_;
  std::vector<float> shift_;
  std::vector<Panel> panels_;
  std::int64_t n_ = 0;
  bool finished_ = false;
  /// blocks_[k][i], [D, D]: before finish() the run product (i = 0) and the head-to-tail steps i - 1 -> i.
  std::vector<core::AlignedBuffer<double>> blocks_;
  std::vector<double> sums_;          ///< [W, D] of the shifted windows
  core::AlignedBuffer<float> edges_;  ///< [kEdgeRuns, 2 (W - 1), D]: heads, then tails
  std::int64_t n_edges_ = 0;
  std::vector<core::AlignedBuffer<float>> products_;  ///< per worker
};

}  // namespace phase0::models
