#include "models/windowed_gram.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/checked.h"
#include "linalg/blas.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kPanelRows = 256;
constexpr std::int64_t kEdgeRuns =
    256;  // part of the result's bits: products are added up per this many runs

}  // namespace

WindowedGram::WindowedGram(std::int64_t window, std::vector<float> shift)
    : window_(window), d_(std::ssize(shift)), shift_(std::move(shift)) {
  PHASE0_CHECK(window_ >= 1 && d_ >= 1);
  for (std::int64_t k = 0; k < window_; ++k) {
    blocks_.emplace_back((window_ - k) * d_ * d_);
    blocks_.back().fill(0.0);
    for (std::int64_t first = 0; first < d_; first += kPanelRows) {
      panels_.push_back({k, first, std::min(kPanelRows, d_ - first)});
    }
  }
  sums_.assign(static_cast<std::size_t>(window_ * d_), 0.0);
  edges_.resize(kEdgeRuns * 2 * (window_ - 1) * d_);
}

std::int64_t WindowedGram::bytes(std::int64_t window, std::int64_t d, int threads) {
  const std::int64_t square = core::checked_mul(core::checked_mul(d, d, "covariance"), 8, "covariance");
  const std::int64_t blocks = core::checked_mul(square, window * (window + 1) / 2, "covariance");
  return blocks + kEdgeRuns * 2 * (window - 1) * d * 4 + threads * std::min(kPanelRows, d) * d * 4;
}

void WindowedGram::add(std::vector<data::FeatureBlock>& blocks, core::ThreadPool& pool) {
  PHASE0_CHECK(!finished_);
  products_.resize(static_cast<std::size_t>(pool.size()));
  pool.run(std::ssize(blocks),
           [&](std::int64_t b, int) { subtract_shift(blocks[static_cast<std::size_t>(b)]); });
  const std::int64_t n_panels = std::ssize(panels_);
  pool.run(n_panels + 1, [&](std::int64_t item, int worker) {
    auto& product = products_[static_cast<std::size_t>(worker)];
    product.resize(kPanelRows * d_);
    for (const auto& block : blocks) {
      if (item == 0) {
        add_sums(block);
      } else {
        add_panel(block, panels_[static_cast<std::size_t>(item - 1)], product.data());
      }
    }
  });
  for (const auto& block : blocks) {
    n_ += block.n_rows;
    if (window_ == 1) continue;
    for (const auto& run : block.runs) {
      const float* frames = block.frames.data() + run.first_frame * d_;
      const std::int64_t edge = (window_ - 1) * d_;
      float* out = edges_.data() + n_edges_ * 2 * edge;
      std::memcpy(out, frames, static_cast<std::size_t>(edge) * sizeof(float));
      std::memcpy(out + edge, frames + run.n_rows * d_, static_cast<std::size_t>(edge) * sizeof(float));
      if (++n_edges_ == kEdgeRuns) add_edges(pool);
    }
  }
}

void WindowedGram::subtract_shift(data::FeatureBlock& block) const {
  PHASE0_CHECK(block.window == window_ && block.frame_dim == d_);
  for (std::int64_t f = 0; f < block.n_frames; ++f) {
    float* frame = block.frames.data() + f * d_;
    for (std::int64_t j = 0; j < d_; ++j) frame[j] -= shift_[static_cast<std::size_t>(j)];
  }
}

void WindowedGram::add_sums(const data::FeatureBlock& block) {
  for (const auto& run : block.runs) {
    const float* frames = block.frames.data() + run.first_frame * d_;
    for (std::int64_t r = 0; r < run.n_rows; ++r) {
      for (std::int64_t j = 0; j < d_; ++j)
        sums_[static_cast<std::size_t>(j)] += static_cast<double>(frames[r * d_ + j]);
    }
    for (std::int64_t i = 1; i < window_; ++i) {
      double* sum = sums_.data() + i * d_;
      const float* head = frames + (i - 1) * d_;
      const float* tail = frames + (run.n_rows + i - 1) * d_;
      for (std::int64_t j = 0; j < d_; ++j)
        sum[j] += static_cast<double>(tail[j]) - static_cast<double>(head[j]);
    }
  }
}

void WindowedGram::add_panel(const data::FeatureBlock& data, const Panel& panel, float* product) {
  // The lag-0 product is symmetric: its lower panels are mirrored in finish().
  const std::int64_t column = panel.difference == 0 ? panel.first : 0;
  const std::int64_t columns = d_ - column;
  std::memset(product, 0, static_cast<std::size_t>(panel.n * columns) * sizeof(float));
  for (const auto& run : data.runs) {
    const float* frames = data.frames.data() + run.first_frame * d_;
    linalg::add_atb(panel.n, columns, run.n_rows, frames + panel.first, d_,
                    frames + panel.difference * d_ + column, d_, product, columns);
  }
  double* target = block(panel.difference, 0);
  for (std::int64_t r = 0; r < panel.n; ++r) {
    double* row = target + (panel.first + r) * d_ + column;
    for (std::int64_t j = 0; j < columns; ++j) row[j] += static_cast<double>(product[r * columns + j]);
  }
}

void WindowedGram::add_edges(core::ThreadPool& pool) {
  if (n_edges_ == 0) return;
  products_.resize(static_cast<std::size_t>(pool.size()));
  const std::int64_t stride = 2 * (window_ - 1) * d_;
  pool.run(std::ssize(panels_), [&](std::int64_t item, int worker) {
    const Panel& panel = panels_[static_cast<std::size_t>(item)];
    auto& product = products_[static_cast<std::size_t>(worker)];
    product.resize(kPanelRows * d_);
    for (std::int64_t step = 0; step + panel.difference < window_ - 1; ++step) {
      double* target = block(panel.difference, step + 1) + panel.first * d_;
      for (const std::int64_t side : {window_ - 1, std::int64_t{0}}) {
        const float* edge = edges_.data() + (side + step) * d_;
        std::memset(product.data(), 0, static_cast<std::size_t>(panel.n * d_) * sizeof(float));
        linalg::add_atb(panel.n, d_, n_edges_, edge + panel.first, stride, edge + panel.difference * d_,
                        stride, product.data(), d_);
        const double sign = side == 0 ? -1.0 : 1.0;
        for (std::int64_t i = 0; i < panel.n * d_; ++i) target[i] += sign * static_cast<double>(product[i]);
      }
    }
  });
  n_edges_ = 0;
}

void WindowedGram::merge(WindowedGram& other, core::ThreadPool& pool) {
  PHASE0_CHECK(!finished_ && !other.finished_ && other.shift_ == shift_ && other.window_ == window_);
  add_edges(pool);
  other.add_edges(pool);
  pool.run(window_, [&](std::int64_t k, int) {
    auto& mine = blocks_[static_cast<std::size_t>(k)];
    const auto& theirs = other.blocks_[static_cast<std::size_t>(k)];
    for (std::int64_t i = 0; i < mine.size(); ++i) mine[i] += theirs[i];
  });
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  n_ += other.n_;
}

std::vector<double> WindowedGram::mean() const {
  PHASE0_CHECK(finished_);
  std::vector<double> mean(sums_.size());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    mean[i] = sums_[i] / static_cast<double>(n_) + static_cast<double>(shift_[i % shift_.size()]);
  }
  return mean;
}

void WindowedGram::finish(core::ThreadPool& pool) {
  PHASE0_CHECK(!finished_ && n_ >= 2);
  add_edges(pool);
  for (std::int64_t i = d_; i < window_ * d_; ++i) {
    sums_[static_cast<std::size_t>(i)] += sums_[static_cast<std::size_t>(i - d_)];
  }
  pool.run(window_, [&](std::int64_t k, int) {
    if (k == 0) {
      double* base = block(0, 0);
      for (std::int64_t r = 1; r < d_; ++r) {
        for (std::int64_t j = 0; j < r; ++j) base[r * d_ + j] = base[j * d_ + r];
      }
    }
    for (std::int64_t i = 1; i < window_ - k; ++i) {
      double* to = block(k, i);
      const double* from = block(k, i - 1);
      for (std::int64_t e = 0; e < d_ * d_; ++e) to[e] += from[e];
    }
    const auto n = static_cast<double>(n_);
    for (std::int64_t i = 0; i < window_ - k; ++i) {
      double* to = block(k, i);
      const double* left = sums_.data() + i * d_;
      const double* right = sums_.data() + (i + k) * d_;
      for (std::int64_t r = 0; r < d_; ++r) {
        const double mean = left[r] / n;
        for (std::int64_t j = 0; j < d_; ++j) to[r * d_ + j] = (to[r * d_ + j] - mean * right[j]) / (n - 1);
      }
    }
  });
  finished_ = true;
}

double WindowedGram::total_variance() const {
  PHASE0_CHECK(finished_);
  double total = 0;
  for (std::int64_t i = 0; i < window_; ++i) {
    for (std::int64_t j = 0; j < d_; ++j) total += block(0, i)[j * d_ + j];
  }
  return total;
}

void WindowedGram::apply_panel(const double* x, double* y, std::int64_t count, std::int64_t position,
                               std::int64_t first, std::int64_t n) const {
  const std::int64_t row = dim();
  double* out = y + position * d_ + first;
  for (std::int64_t v = 0; v < count; ++v) std::fill_n(out + v * row, n, 0.0);
  for (std::int64_t j = 0; j < window_; ++j) {
    const double* in = x + j * d_;
    if (j >= position) {
      linalg::add_abt(count, n, d_, in, row, block(j - position, position) + first * d_, d_, out, row);
    } else {
      linalg::add_ab(count, n, d_, in, row, block(position - j, j) + first, d_, out, row);
    }
  }
}

void WindowedGram::apply(const double* x, double* y, std::int64_t count, core::ThreadPool& pool) const {
  PHASE0_CHECK(finished_);
  const std::int64_t panels = core::ceil_div(d_, kPanelRows);
  pool.run(window_ * panels, [&](std::int64_t item, int) {
    const std::int64_t first = (item % panels) * kPanelRows;
    apply_panel(x, y, count, item / panels, first, std::min(kPanelRows, d_ - first));
  });
}

}  // namespace phase0::models
