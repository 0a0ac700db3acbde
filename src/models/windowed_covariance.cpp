#include "models/windowed_covariance.h"

#include <algorithm>
#include <numeric>

#include "core/check.h"
#include "core/checked.h"
#include "linalg/blas.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kCopyValues = WindowedCovariance::kCopyBytes / 8;

}  // namespace

WindowedCovariance::WindowedCovariance(const GramLayout& layout, std::vector<PanelRange> groups,
                                       const std::string& scratch_folder)
    : layout_(layout), groups_(std::move(groups)), variances_(static_cast<std::size_t>(layout.span()), 0.0) {
  // One buffer for all groups, so that memory does not depend on what an allocator keeps of freed ones.
  std::int64_t largest = 0;
  for (const PanelRange& group : groups_) largest = std::max(largest, layout.size(group));
  panels_.resize(largest);
  if (groups_.size() > 1) {
    scratch_ =
        store::scratch_matrix(scratch_folder, store::ElementType::kFloat64, layout.size(layout.all()), 1);
  }
}

WindowedGram WindowedCovariance::next_part() {
  return {layout_, groups_.at(static_cast<std::size_t>(n_taken_)), std::move(panels_)};
}

void WindowedCovariance::take(WindowedGram& part) {
  const PanelRange group = groups_.at(static_cast<std::size_t>(n_taken_++));
  PHASE0_CHECK(part.range().first == group.first && part.range().end == group.end);
  panels_ = part.take_panels();
  offset_ = layout_.panel(group.first).offset;
  for (std::int64_t i = group.first; i < group.end; ++i) {
    if (layout_.panel(i).difference == 0) add_diagonal(layout_.panel(i));
  }
  if (groups_.size() > 1) save(group);
}

void WindowedCovariance::add_diagonal(const GramPanel& panel) {
  for (std::int64_t p = 0; p < panel.n_positions; ++p) {
    const double* values = block(panel, p);
    for (std::int64_t r = 0; r < panel.n; ++r) {
      variances_[static_cast<std::size_t>(p)] += values[r * panel.n_columns + r];
    }
  }
}

double WindowedCovariance::total_variance(std::int64_t start) const {
  const auto begin = variances_.begin() + start;
  return std::accumulate(begin, begin + layout_.window(), 0.0);
}

void WindowedCovariance::save(PanelRange group) {
  const std::int64_t size = layout_.size(group);
  for (std::int64_t first = 0; first < size; first += kCopyValues) {
    const std::int64_t n = std::min(kCopyValues, size - first);
    std::copy_n(panels_.data() + first, n, scratch_.mutable_data<double>() + offset_ + first);
    scratch_.flush(offset_ + first, n);
  }
}

/// What the windows that begin at `start` have of the group.
void WindowedCovariance::load(PanelRange group, std::int64_t start) {
  panels_.resize(layout_.size(group));
  offset_ = layout_.panel(group.first).offset;
  for (std::int64_t i = group.first; i < group.end; ++i) {
    const GramPanel& panel = layout_.panel(i);
    const std::int64_t begin = panel.offset + start * panel.block_size();
    const std::int64_t size = (layout_.window() - panel.difference) * panel.block_size();
    scratch_.will_need(begin, size);
    for (std::int64_t first = begin; first < begin + size; first += kCopyValues) {
      const std::int64_t n = std::min(kCopyValues, begin + size - first);
      std::copy_n(scratch_.data<double>() + first, n, panels_.data() + (first - offset_));
      scratch_.release(first, n);
    }
  }
}

void WindowedCovariance::apply(std::int64_t start, const double* x, double* y, std::int64_t count,
                               core::ThreadPool& pool) {
  PHASE0_CHECK(n_taken_ == std::ssize(groups_) && start + layout_.window() <= layout_.span());
  std::fill_n(y, count * layout_.dim(), 0.0);
  const std::int64_t chunks = core::ceil_div(layout_.d(), GramLayout::kPanelRows);
  for (const PanelRange& group : groups_) {
    if (groups_.size() > 1) load(group, start);
    // Split over the threads by what is written; every value is summed over the panels in their order.
    pool.run(layout_.window() * chunks, [&](std::int64_t item, int) {
      for (std::int64_t i = group.first; i < group.end; ++i) {
        add_products(layout_.panel(i), start, item / chunks, (item % chunks) * GramLayout::kPanelRows, x, y,
                     count);
      }
    });
  }
}

/// What a panel and its transpose add to values [first, first + kPanelRows) of the vectors' part of
/// `position` of the windows.
void WindowedCovariance::add_products(const GramPanel& panel, std::int64_t start, std::int64_t position,
                                      std::int64_t first, const double* x, double* y,
                                      std::int64_t count) const {
  const std::int64_t d = layout_.d();
  const std::int64_t dim = layout_.dim();
  double* out = y + position * d + first;
  if (first == panel.first && position + panel.difference < layout_.window()) {
    const double* in = x + (position + panel.difference) * d + panel.column;
    linalg::add_abt(count, panel.n, panel.n_columns, in, dim, block(panel, start + position), panel.n_columns,
                    out, dim);
  }
  if (position >= panel.difference && (panel.difference > 0 || first > panel.first)) {
    const std::int64_t above = position - panel.difference;
    const std::int64_t n = std::min(GramLayout::kPanelRows, d - first);
    linalg::add_ab(count, n, panel.n, x + above * d + panel.first, dim,
                   block(panel, start + above) + first - panel.column, panel.n_columns, out, dim);
  }
}

}  // namespace phase0::models
