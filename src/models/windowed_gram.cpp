#include "models/windowed_gram.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "linalg/blas.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kEdgeRuns =
    256;  // part of the result's bits: products are added up per this many runs

}  // namespace

WindowedGram::WindowedGram(const GramLayout& layout, PanelRange range, core::AlignedBuffer<double> room)
    : layout_(layout), range_(range), panels_(std::move(room)) {
  panels_.resize(layout.size(range));
  panels_.fill(0.0);
  sums_.assign(static_cast<std::size_t>(layout.span() * layout.d()), 0.0);
  edges_.resize(kEdgeRuns * 2 * (layout.span() - 1) * layout.d());
}

std::int64_t WindowedGram::workspace_bytes(const GramLayout& layout, int threads) {
  const std::int64_t d = layout.d();
  return kEdgeRuns * 2 * (layout.span() - 1) * d * 4 + threads * std::min(GramLayout::kPanelRows, d) * d * 4;
}

template <typename Work>
void WindowedGram::each_panel(core::ThreadPool& pool, const Work& work) {
  pool.run(range_.end - range_.first,
           [&](std::int64_t item, int worker) { work(layout_.panel(range_.first + item), worker); });
}

void WindowedGram::add(const std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) {
  products_.resize(static_cast<std::size_t>(pool.size()));
  each_panel(pool, [&](const GramPanel& panel, int worker) {
    auto& product = products_[static_cast<std::size_t>(worker)];
    product.resize(panel.block_size());
    for (const auto& block : blocks) add_run_products(block, panel, product.data());
  });
  add_edges(blocks, pool);
}

void WindowedGram::add_edges(const std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) {
  PHASE0_CHECK(!finished_);
  block_sums_.assign(blocks.size() * sums_.size(), 0.0);
  pool.run(std::ssize(blocks), [&](std::int64_t b, int) {
    sum_up(blocks[static_cast<std::size_t>(b)], block_sums_.data() + b * std::ssize(sums_));
  });
  for (std::size_t i = 0; i < block_sums_.size(); ++i) sums_[i % sums_.size()] += block_sums_[i];
  for (const auto& block : blocks) {
    n_ += block.n_rows;
    if (layout_.span() > 1) collect_edges(block, pool);
  }
}

/// Of the first position; of the others what they have more than the one before them.
void WindowedGram::sum_up(const data::FeatureBlock& block, double* sums) const {
  const std::int64_t d = layout_.d();
  PHASE0_CHECK(block.window == layout_.span() && block.frame_dim == d);
  for (const auto& run : block.runs) {
    const float* frames = block.frames.data() + run.first_frame * d;
    for (std::int64_t r = 0; r < run.n_rows; ++r) {
      for (std::int64_t j = 0; j < d; ++j) sums[j] += static_cast<double>(frames[r * d + j]);
    }
    for (std::int64_t i = 1; i < layout_.span(); ++i) {
      double* sum = sums + i * d;
      const float* head = frames + (i - 1) * d;
      const float* tail = frames + (run.n_rows + i - 1) * d;
      for (std::int64_t j = 0; j < d; ++j)
        sum[j] += static_cast<double>(tail[j]) - static_cast<double>(head[j]);
    }
  }
}

void WindowedGram::add_run_products(const data::FeatureBlock& data, const GramPanel& panel, float* product) {
  const std::int64_t d = layout_.d();
  std::memset(product, 0, static_cast<std::size_t>(panel.block_size()) * sizeof(float));
  for (const auto& run : data.runs) {
    const float* frames = data.frames.data() + run.first_frame * d;
    linalg::add_atb(panel.n, panel.n_columns, run.n_rows, frames + panel.first, d,
                    frames + panel.difference * d + panel.column, d, product, panel.n_columns);
  }
  double* target = block(panel, 0);
  for (std::int64_t i = 0; i < panel.block_size(); ++i) target[i] += static_cast<double>(product[i]);
}

void WindowedGram::collect_edges(const data::FeatureBlock& block, core::ThreadPool& pool) {
  const std::int64_t d = layout_.d();
  const std::int64_t edge = (layout_.span() - 1) * d;
  for (const auto& run : block.runs) {
    const float* frames = block.frames.data() + run.first_frame * d;
    float* out = edges_.data() + n_edges_ * 2 * edge;
    std::memcpy(out, frames, static_cast<std::size_t>(edge) * sizeof(float));
    std::memcpy(out + edge, frames + run.n_rows * d, static_cast<std::size_t>(edge) * sizeof(float));
    if (++n_edges_ == kEdgeRuns) add_collected(pool);
  }
}

void WindowedGram::add_collected(core::ThreadPool& pool) {
  if (n_edges_ == 0) return;
  products_.resize(static_cast<std::size_t>(pool.size()));
  const std::int64_t d = layout_.d();
  const std::int64_t edge_frames = layout_.span() - 1;
  const std::int64_t stride = 2 * edge_frames * d;
  each_panel(pool, [&](const GramPanel& panel, int worker) {
    auto& product = products_[static_cast<std::size_t>(worker)];
    product.resize(panel.block_size());
    for (std::int64_t position = 1; position < panel.n_positions; ++position) {
      double* target = block(panel, position);
      for (const std::int64_t side : {edge_frames, std::int64_t{0}}) {
        const float* edge = edges_.data() + (side + position - 1) * d;
        product.fill(0.0f);
        linalg::add_atb(panel.n, panel.n_columns, n_edges_, edge + panel.first, stride,
                        edge + panel.difference * d + panel.column, stride, product.data(), panel.n_columns);
        const double sign = side == 0 ? -1.0 : 1.0;
        for (std::int64_t i = 0; i < product.size(); ++i) target[i] += sign * static_cast<double>(product[i]);
      }
    }
  });
  n_edges_ = 0;
}

void WindowedGram::merge(WindowedGram& other, core::ThreadPool& pool) {
  PHASE0_CHECK(!finished_ && !other.finished_ && other.sums_.size() == sums_.size() &&
               other.range_.first == range_.first && other.range_.end == range_.end);
  add_collected(pool);
  other.add_collected(pool);
  each_panel(pool, [&](const GramPanel& panel, int) {
    double* mine = block(panel, 0);
    const double* theirs = other.block(panel, 0);
    for (std::int64_t i = 0; i < panel.size(); ++i) mine[i] += theirs[i];
  });
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  n_ += other.n_;
}

void WindowedGram::save(core::ByteSink& sink) const {
  PHASE0_CHECK(!finished_);
  sink.put(range_.first);
  sink.put(n_);
  sink.put(n_edges_);
  sink.put_all(panels_.span());
  sink.put_all(sums_);
  sink.put_all(edges_.span());
}

void WindowedGram::load(core::ByteSource& source) {
  PHASE0_CHECK(!finished_);
  if (source.get<std::int64_t>() != range_.first) {
    throw Error(ErrorKind::kStorage, "was kept within another memory budget");
  }
  n_ = source.get<std::int64_t>();
  n_edges_ = source.get<std::int64_t>();
  if (n_ < 0 || n_edges_ < 0 || n_edges_ >= kEdgeRuns)
    throw Error(ErrorKind::kStorage, "is not the progress of these sums");
  source.get_into(panels_.span());
  source.get_into(std::span(sums_));
  source.get_into(edges_.span());
}

std::vector<double> WindowedGram::mean() const {
  PHASE0_CHECK(finished_);
  std::vector<double> mean(sums_.size());
  for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = sums_[i] / static_cast<double>(n_);
  return mean;
}

void WindowedGram::finish(core::ThreadPool& pool, const SpectralProducts* products) {
  PHASE0_CHECK(!finished_ && n_ >= 2);
  add_collected(pool);
  const auto d = static_cast<std::size_t>(layout_.d());
  for (std::size_t i = d; i < sums_.size(); ++i) sums_[i] += sums_[i - d];
  each_panel(pool, [&](const GramPanel& panel, int) {
    if (products != nullptr) take_products(panel, *products);
    finish_panel(panel);
  });
  finished_ = true;
}

void WindowedGram::take_products(const GramPanel& panel, const SpectralProducts& products) {
  for (std::int64_t r = 0; r < panel.n; ++r) {
    const double* from = products.product(panel.difference) + (panel.first + r) * layout_.d() + panel.column;
    std::copy_n(from, panel.n_columns, block(panel, 0) + r * panel.n_columns);
  }
}

void WindowedGram::finish_panel(const GramPanel& panel) {
  for (std::int64_t p = 1; p < panel.n_positions; ++p) {
    double* to = block(panel, p);
    const double* from = block(panel, p - 1);
    for (std::int64_t i = 0; i < panel.block_size(); ++i) to[i] += from[i];
  }
  const auto n = static_cast<double>(n_);
  for (std::int64_t p = 0; p < panel.n_positions; ++p) {
    double* values = block(panel, p);
    const double* left = sums_.data() + p * layout_.d() + panel.first;
    const double* right = sums_.data() + (p + panel.difference) * layout_.d() + panel.column;
    for (std::int64_t r = 0; r < panel.n; ++r) {
      double* row = values + r * panel.n_columns;
      const double mean = left[r] / n;
      for (std::int64_t j = 0; j < panel.n_columns; ++j) row[j] = (row[j] - mean * right[j]) / (n - 1);
      // A block on the diagonal is symmetric: its corner left of the diagonal follows from the rows above.
      for (std::int64_t j = 0; panel.difference == 0 && j < r; ++j) row[j] = values[j * panel.n_columns + r];
    }
  }
}

core::AlignedBuffer<double> WindowedGram::take_panels() {
  PHASE0_CHECK(finished_);
  return std::move(panels_);
}

}  // namespace phase0::models
