#pragma once

#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/threads.h"
#include "data/feature_source.h"
#include "models/gram_layout.h"
#include "models/spectral_products.h"

namespace phase0::models {

/// Sums and products of window rows without forming them: an incremental, mergeable covariance of dimension F
/// = W D, or some of its panels.
///
/// Block (a, b) of the Gram matrix of windows is the lag-(b - a) product of the frames over the run, moved by
/// a frames: it follows from the block before it by taking off the run's head and adding its tail. So a run
/// costs W products of its frames, and W (W - 1) products of W - 1 head and tail frames, which are collected
/// over many runs. Products are float32 on rows shifted by a constant, added up in float64 in block order:
/// the same bits for any thread count, chunk size and choice of panels.
class WindowedGram {
 public:
  /// Of the panels of `range`. `layout` must outlive this. `room` is a buffer to use for the panels.
  WindowedGram(const GramLayout& layout, PanelRange range, core::AlignedBuffer<double> room = {});

  /// Blocks in row order, after those of earlier calls. Their frames are near zero mean, which saves digits.
  void add(const std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool);
  /// The same but for the products of whole runs, which finish() is given.
  void add_edges(const std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool);
  /// The sums of another part of the rows, with the same panels.
  void merge(WindowedGram& other, core::ThreadPool& pool);

  /// Before finish(): everything so far, for another of the same panels to go on from. load() throws Error
  /// (kStorage) for others.
  void save(core::ByteSink& sink) const;
  void load(core::ByteSource& source);

  std::int64_t n() const { return n_; }
  PanelRange range() const { return range_; }
  /// Turns the sums into the covariance (ddof 1) in place; nothing is added or merged afterwards. `products`
  /// of all runs, when they were not taken here.
  void finish(core::ThreadPool& pool, const SpectralProducts* products = nullptr);
  /// Mean of the span's frames [span, D]. After finish(), as the call below.
  std::vector<double> mean() const;
  /// The panels, one after the other. Call once.
  core::AlignedBuffer<double> take_panels();

  /// Bytes beside the panels, temporaries for `threads` included.
  static std::int64_t workspace_bytes(const GramLayout& layout, int threads);
  /// And for every block that is added at once.
  static std::int64_t block_bytes(const GramLayout& layout) { return 8 * layout.span() * layout.d(); }

 private:
  double* block(const GramPanel& panel, std::int64_t position) {
    return panels_.data() + (panel.offset - layout_.panel(range_.first).offset) +
           position * panel.block_size();
  }
  /// Calls work(panel, worker) for the panels of the range.
  template <typename Work>
  void each_panel(core::ThreadPool& pool, const Work& work);
  void sum_up(const data::FeatureBlock& block, double* sums) const;
  void add_run_products(const data::FeatureBlock& block, const GramPanel& panel, float* product);
  void collect_edges(const data::FeatureBlock& block, core::ThreadPool& pool);
  void add_collected(core::ThreadPool& pool);
  void take_products(const GramPanel& panel, const SpectralProducts& products);
  void finish_panel(const GramPanel& panel);

  const GramLayout& layout_;
  PanelRange range_;
  std::int64_t n_ = 0;
  bool finished_ = false;
  /// Before finish() each panel's run product (position 0) and the head-to-tail steps from one position to
  /// the next.
  core::AlignedBuffer<double> panels_;
  std::vector<double> sums_;          ///< [span, D]
  std::vector<double> block_sums_;    ///< [block, span, D]
  core::AlignedBuffer<float> edges_;  ///< [kEdgeRuns, 2 (span - 1), D]: heads, then tails
  std::int64_t n_edges_ = 0;
  std::vector<core::AlignedBuffer<float>> products_;  ///< per worker
};

}  // namespace phase0::models
