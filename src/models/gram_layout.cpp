#include "models/gram_layout.h"

#include <algorithm>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kValueBytes = 8;
constexpr std::int64_t kMaxGroupShare = 16;

}  // namespace

GramLayout::GramLayout(std::int64_t window, std::int64_t d, std::int64_t span)
    : window_(window), d_(d), span_(span) {
  PHASE0_CHECK(window >= 1 && d >= 1 && span >= window);
  // More than the largest size that is computed below, so that nothing overflows.
  core::checked_mul(core::checked_mul(d, d, "covariance"), kValueBytes * window * span, "covariance");
  std::int64_t offset = 0;
  for (std::int64_t k = 0; k < window; ++k) {
    for (std::int64_t first = 0; first < d; first += kPanelRows) {
      const std::int64_t column = k == 0 ? first : 0;
      panels_.push_back({.difference = k,
                         .first = first,
                         .n = std::min(kPanelRows, d - first),
                         .column = column,
                         .n_columns = d - column,
                         .n_positions = span - k,
                         .offset = offset});
      offset += panels_.back().size();
    }
  }
}

std::int64_t GramLayout::size(PanelRange range) const {
  if (range.first == range.end) return 0;
  const GramPanel& last = panel(range.end - 1);
  return last.offset + last.size() - panel(range.first).offset;
}

std::vector<PanelRange> GramLayout::groups(std::int64_t group_bytes) const {
  PHASE0_CHECK(group_bytes >= smallest_group_bytes());
  std::vector<PanelRange> groups = {{0, 1}};
  for (std::int64_t i = 1; i < n_panels(); ++i) {
    const PanelRange longer{groups.back().first, i + 1};
    if (kValueBytes * size(longer) <= group_bytes) {
      groups.back() = longer;
    } else {
      groups.push_back({i, i + 1});
    }
  }
  return groups;
}

std::int64_t GramLayout::smallest_group_bytes() const {
  // Panel 0 is the largest: the others have fewer positions or fewer columns.
  const std::int64_t all_bytes = kValueBytes * size(all());
  const std::int64_t share = core::ceil_div(all_bytes, kMaxGroupShare);
  return std::min(all_bytes, std::max(share, 2 * kValueBytes * panel(0).size()));
}

}  // namespace phase0::models
