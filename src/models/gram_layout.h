#pragma once

#include <cstdint>
#include <vector>

namespace phase0::models {

/// Rows [first, first + n) of blocks (p, p + difference), p = 0 .. n_positions - 1, of a covariance of
/// windows: [n_positions, n, n_columns]. Of blocks on the diagonal (difference 0) only the columns from the
/// panel's first row on are kept; the rest is the transpose of other panels.
struct GramPanel {
  std::int64_t difference = 0;
  std::int64_t first = 0, n = 0;
  std::int64_t column = 0, n_columns = 0;  ///< first column and number of columns
  std::int64_t n_positions = 0;
  std::int64_t offset = 0;  ///< values of the panels before this one

  std::int64_t block_size() const { return n * n_columns; }
  std::int64_t size() const { return n_positions * block_size(); }
};

/// Panels [first, end) of a layout.
struct PanelRange {
  std::int64_t first = 0, end = 0;
};

/// How the upper half of an F x F covariance of windows, F = window * d, is cut into panels: what is summed
/// up, stored and read as one. Windows of several lags, which begin at different frames of one longer `span`,
/// share the blocks that they have in common: then there are the blocks (p, p + difference) of all positions
/// p of the span, up to a difference of window - 1. Depends on the shape alone.
class GramLayout {
 public:
  static constexpr std::int64_t kPanelRows = 256;

  /// 1 <= window <= span.
  GramLayout(std::int64_t window, std::int64_t d, std::int64_t span);
  GramLayout(std::int64_t window, std::int64_t d) : GramLayout(window, d, window) {}

  std::int64_t window() const { return window_; }
  std::int64_t d() const { return d_; }
  std::int64_t span() const { return span_; }
  /// Of a window.
  std::int64_t dim() const { return window_ * d_; }
  std::int64_t n_panels() const { return static_cast<std::int64_t>(panels_.size()); }
  const GramPanel& panel(std::int64_t i) const { return panels_[static_cast<std::size_t>(i)]; }
  PanelRange all() const { return {0, n_panels()}; }
  /// Values of the panels of a range, which lie one after the other.
  std::int64_t size(PanelRange range) const;

  /// Consecutive panels of at most `group_bytes` (float64) each, at least smallest_group_bytes().
  std::vector<PanelRange> groups(std::int64_t group_bytes) const;
  /// Two of the largest panels, so that there is work for threads, or 1/16 of all, so that there are at most
  /// some 30 groups: every group costs a scan over the rows.
  std::int64_t smallest_group_bytes() const;

 private:
  std::int64_t window_;
  std::int64_t d_;
  std::int64_t span_;
  std::vector<GramPanel> panels_;
};

}  // namespace phase0::models
