#include "models/windowed_covariance.h"

#include <algorithm>

#include "core/check.h"
#include "core/checked.h"
#include "linalg/blas.h"

namespace phase0::models {

WindowedCovariance::WindowedCovariance(const GramLayout& layout, std::vector<PanelRange> groups,
                                       const std::string& scratch_folder)
    : layout_(layout), groups_(std::move(groups)) {
  if (groups_.size() > 1) {
    scratch_ =
        store::scratch_matrix(scratch_folder, store::ElementType::kFloat64, layout.size(layout.all()), 1);
  }
}

const double* WindowedCovariance::block(const GramPanel& panel, std::int64_t position) const {
  const double* panels = scratch_.empty() ? memory_.data() : scratch_.data<double>();
  return panels + panel.offset + position * panel.block_size();
}

void WindowedCovariance::take(WindowedGram& part) {
  const PanelRange group = groups_.at(static_cast<std::size_t>(n_taken_++));
  PHASE0_CHECK(part.range().first == group.first && part.range().end == group.end);
  core::AlignedBuffer<double> panels = part.take_panels();
  const std::int64_t offset = layout_.panel(group.first).offset;
  for (std::int64_t i = group.first; i < group.end; ++i) {
    const GramPanel& panel = layout_.panel(i);
    if (panel.difference == 0) add_diagonal(panel, panels.data() + panel.offset - offset);
  }
  if (groups_.size() == 1) {
    memory_ = std::move(panels);
  } else {
    copy_to_scratch(panels, offset);
  }
}

void WindowedCovariance::copy_to_scratch(const core::AlignedBuffer<double>& panels, std::int64_t offset) {
  constexpr std::int64_t kCopyValues = kCopyBytes / 8;
  for (std::int64_t first = 0; first < panels.size(); first += kCopyValues) {
    const std::int64_t n = std::min(kCopyValues, panels.size() - first);
    std::copy_n(panels.data() + first, n, scratch_.mutable_data<double>() + offset + first);
    scratch_.flush(offset + first, n);
  }
}

void WindowedCovariance::add_diagonal(const GramPanel& panel, const double* values) {
  for (std::int64_t p = 0; p < panel.n_positions; ++p) {
    for (std::int64_t r = 0; r < panel.n; ++r) {
      total_variance_ += values[p * panel.block_size() + r * panel.n_columns + r];
    }
  }
}

void WindowedCovariance::apply(const double* x, double* y, std::int64_t count, core::ThreadPool& pool) const {
  PHASE0_CHECK(n_taken_ == std::ssize(groups_));
  std::fill_n(y, count * layout_.dim(), 0.0);
  const std::int64_t chunks = core::ceil_div(layout_.d(), GramLayout::kPanelRows);
  for (const PanelRange& group : groups_) {
    // Split over the threads by what is written; every value is summed over the panels in their order.
    pool.run(layout_.window() * chunks, [&](std::int64_t item, int) {
      for (std::int64_t i = group.first; i < group.end; ++i) {
        add_products(layout_.panel(i), item / chunks, (item % chunks) * GramLayout::kPanelRows, x, y, count);
      }
    });
    scratch_.release(layout_.panel(group.first).offset, layout_.size(group));
  }
}

/// What a panel and its transpose add to values [first, first + kPanelRows) of the vectors' part of
/// `position`.
void WindowedCovariance::add_products(const GramPanel& panel, std::int64_t position, std::int64_t first,
                                      const double* x, double* y, std::int64_t count) const {
  const std::int64_t d = layout_.d();
  const std::int64_t dim = layout_.dim();
  double* out = y + position * d + first;
  if (first == panel.first && position < panel.n_positions) {
    const double* in = x + (position + panel.difference) * d + panel.column;
    linalg::add_abt(count, panel.n, panel.n_columns, in, dim, block(panel, position), panel.n_columns, out,
                    dim);
  }
  if (position >= panel.difference && (panel.difference > 0 || first > panel.first)) {
    const std::int64_t above = position - panel.difference;
    const std::int64_t n = std::min(GramLayout::kPanelRows, d - first);
    linalg::add_ab(count, n, panel.n, x + above * d + panel.first, dim,
                   block(panel, above) + first - panel.column, panel.n_columns, out, dim);
  }
}

}  // namespace phase0::models
