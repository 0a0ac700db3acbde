#include "linalg/yinyang_nearest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/check.h"
#include "core/checked.h"
#include "linalg/centroid_groups.h"

namespace phase0::linalg {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Rows that are labelled together: what is made of them stays in the second-level cache.
constexpr std::int64_t kOpenTile = 64;

typedef float Four __attribute__((vector_size(16)));

Four four(const float* from) {
  Four values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

/// Of k centroids.
std::int64_t group_size_of(std::int64_t k) {
  const std::int64_t lanes = core::ceil_div(k, kScoreLanes);
  return core::ceil_div(lanes, CentroidPaths::kMostGroups) * kScoreLanes;
}

/// Unsettled rows that are on their way from memory: it takes as long as to look at one.
constexpr std::size_t kRowsAhead = 2;

void prefetch_row(const float* row, std::int64_t d) {
  for (std::int64_t j = 0; j < d; j += 16) __builtin_prefetch(row + j, 0, 2);
}

/// Bound of |computed - exact| of a product of Kernels::score_row and score_rows, relative to |x||c|.
double score_row_error(std::int64_t d) {
  return static_cast<double>(d / 2 + 8) * 0x1p-24;
}

}  // namespace

YinyangNearest::YinyangNearest(std::int64_t k, std::span<const float> shift, const Kernels& set)
    : kernels_(set),
      k_(k),
      d_(std::ssize(shift)),
      group_size_(group_size_of(k)),
      n_groups_(core::ceil_div(k, group_size_)),
      centroid_of_(static_cast<std::size_t>(k)),
      column_of_(static_cast<std::size_t>(k)),
      group_of_(static_cast<std::size_t>(k)),
      shift_(shift.begin(), shift.end()),
      packed_(score_room(k) * d_),
      norms_(score_room(k)),
      paths_(k) {
  PHASE0_CHECK(k >= 1 && d_ >= 1);
}

std::int64_t YinyangNearest::score_room(std::int64_t k) {
  return core::round_up(k, group_size_of(k));
}

std::int64_t YinyangNearest::bytes(std::int64_t k, std::int64_t d) {
  return 4 * (d + k * d) + 4 * score_room(k) * (d + 1) + 12 * k + CentroidPaths::bytes(k);
}

std::int64_t YinyangNearest::workspace_bytes(std::int64_t rows, std::int64_t k, std::int64_t d) {
  const auto each = static_cast<std::int64_t>(sizeof(Open)) + 4 * (d + score_room(k));
  return (static_cast<std::int64_t>(sizeof(Relabelled)) + 4) * rows + kOpenTile * each;
}

void YinyangNearest::move_to(std::span<const float> centroids) {
  PHASE0_CHECK(std::ssize(centroids) == k_ * d_);
  if (centroids_.empty()) {
    form_groups(centroids);
  } else {
    paths_.extend(centroids_, centroids, group_of_, kernels_);
  }
  centroids_.assign(centroids.begin(), centroids.end());
  pack();
}

void YinyangNearest::form_groups(std::span<const float> centroids) {
  centroid_of_ = order_in_groups(centroids, shift_, group_size_);
  for (std::int64_t column = 0; column < k_; ++column) {
    const auto c = static_cast<std::size_t>(centroid_of_[static_cast<std::size_t>(column)]);
    column_of_[c] = static_cast<std::int32_t>(column);
    group_of_[c] = static_cast<std::int32_t>(column / group_size_);
  }
}

void YinyangNearest::pack() {
  packed_.fill(0.0f);
  norms_.fill(kInfinity);
  double largest = 0;
  for (std::int64_t column = 0; column < k_; ++column) {
    const std::int64_t c = centroid_of_[static_cast<std::size_t>(column)];
    float* packed = packed_.data() + column / group_size_ * group_size_ * d_ + column % group_size_;
    double norm = 0;
    for (std::int64_t j = 0; j < d_; ++j) {
      const double value = static_cast<double>(centroids_[static_cast<std::size_t>(c * d_ + j)]) -
                           static_cast<double>(shift_[static_cast<std::size_t>(j)]);
      packed[j * group_size_] = -2.0f * static_cast<float>(value);
      norm += value * value;
    }
    norms_[column] = static_cast<float>(norm);
    largest = std::max(largest, norm);
  }
  const double longest = std::sqrt(largest) * 1.000001;
  // A norm that is infinite in float32 says nothing of the distance.
  longest_ = largest < kLargestNorm ? static_cast<float>(longest) : kInfinity;
  error_ = score_error(d_, score_row_error(d_), longest);
}

bool YinyangNearest::settled(const RowBounds& bounds, std::int64_t row) const {
  const std::int32_t label = bounds.label(row);
  if (label == kUnlabelled) return false;
  // A NaN can only come of an infinite path, with which the slack is infinite too.
  const float* low = bounds.lower(row);
  const float* paths = paths_.of_groups();
  const Four first = four(low) - four(paths);
  const Four others = four(low + 4) - four(paths + 4);
  const Four least = first < others ? first : others;
  const float lower = std::min(std::min(least[0], least[1]), std::min(least[2], least[3]));
  return (bounds.upper(row) + paths_.of(label) + paths_.slack()) * (1.0f + kBoundUlps) < lower;
}

void YinyangNearest::mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const {
  for (std::int64_t r = 0; r < n; ++r) marks[r] |= static_cast<std::uint8_t>(!settled(bounds, r));
}

void YinyangNearest::prepare(Workspace& workspace, std::int64_t rows) const {
  workspace.relabelled.reserve(static_cast<std::size_t>(rows));
  workspace.unsettled.resize(static_cast<std::size_t>(rows));
  workspace.rows.resize(kOpenTile * d_);
  workspace.scores.resize(kOpenTile * score_room(k_));
  workspace.open.reserve(kOpenTile);
}

void YinyangNearest::label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
                           Workspace& workspace) const {
  workspace.relabelled.clear();
  workspace.open.clear();
  std::size_t n = 0;
  for (std::int32_t i = 0; i < std::ssize(rows); ++i) {
    workspace.unsettled[n] = i;
    n += settled(bounds, rows[static_cast<std::size_t>(i)]) ? 0 : 1;
  }
  for (std::size_t u = 0; u < n; ++u) {
    if (u + kRowsAhead < n) prefetch_row(x + workspace.unsettled[u + kRowsAhead] * d_, d_);
    open(x, workspace.unsettled[u], bounds, rows, workspace);
    if (std::ssize(workspace.open) == kOpenTile) close(x, rows, bounds, workspace);
  }
  close(x, rows, bounds, workspace);
}

/// Takes an unsettled row up, unless a closer look settles it.
void YinyangNearest::open(const float* x, std::int32_t i, const RowBounds& bounds,
                          std::span<const std::int32_t> rows, Workspace& workspace) const {
  x += i * d_;
  const std::int32_t row = rows[static_cast<std::size_t>(i)];
  Open taken;
  taken.row = i;
  float upper = 0;
  if (!near_groups(x, bounds, row, upper, taken.wanted)) {
    bounds.upper(row) = upper - paths_.of(bounds.label(row));
    return;
  }
  float* to = workspace.rows.data() + std::ssize(workspace.open) * d_;
  kernels_.shift_and_norms(x, shift_.data(), to, &taken.norm, 1, d_);
  workspace.open.push_back(taken);
}

/// Labels the open rows.
void YinyangNearest::close(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
                           Workspace& workspace) const {
  for (std::int64_t g = 0; g < n_groups_; ++g) score_group(g, workspace);
  const float* scores = workspace.scores.data();
  for (const Open& each : workspace.open) {
    const std::int32_t row = rows[static_cast<std::size_t>(each.row)];
    const std::int32_t before = bounds.label(row);
    close_row(x + each.row * d_, bounds, row, each, scores);
    if (bounds.label(row) != before) workspace.relabelled.push_back({each.row, before});
    scores += score_room(k_);
  }
  workspace.open.clear();
}

/// Scores of a group for the open rows that want it.
void YinyangNearest::score_group(std::int64_t group, Workspace& workspace) const {
  const std::int64_t first = group * group_size_;
  Open* wanting[kScoreRows];
  const float* rows[kScoreRows];
  float* scores[kScoreRows];
  std::int64_t n = 0;
  const auto score = [&](const auto& kernel, std::int64_t begin, std::int64_t end) {
    LeastTwo found[kScoreRows];
    kernel(rows + begin, packed_.data() + first * d_, norms_.data() + first, group_size_, d_, scores + begin,
           found);
    for (std::int64_t r = begin; r < end; ++r) {
      wanting[r]->found[group] = found[r - begin];
      wanting[r]->found[group].column += static_cast<std::int32_t>(first);
    }
  };
  for (std::int64_t i = 0; i < std::ssize(workspace.open); ++i) {
    Open& each = workspace.open[static_cast<std::size_t>(i)];
    if (!each.wanted[group]) continue;
    wanting[n] = &each;
    rows[n] = workspace.rows.data() + i * d_;
    scores[n] = workspace.scores.data() + i * score_room(k_) + first;
    if (++n < kScoreRows) continue;
    score(kernels_.score_rows, 0, kScoreRows);
    n = 0;
  }
  for (std::int64_t r = 0; r < n; ++r) score(kernels_.score_row, r, r + 1);
}

/// Tightens the upper bound and says which groups may hold a centroid that is as near; false for none.
bool YinyangNearest::near_groups(const float* x, const RowBounds& bounds, std::int64_t row, float& upper,
                                 bool (&wanted)[kGroups]) const {
  const std::int32_t label = bounds.label(row);
  if (label == kUnlabelled) {
    std::fill_n(wanted, n_groups_, true);
    return true;
  }
  const float relative = static_cast<float>(d_ + 16) * 0x1p-23f;
  const float squared = kernels_.squared_distance_float(x, centroids_.data() + label * d_, d_);
  upper = std::sqrt(squared * (1.0f + relative) + static_cast<float>(d_) * 0x1p-120f) * (1.0f + kBoundUlps);
  const float limit = (upper + paths_.slack()) * (1.0f + kBoundUlps);
  bool any = false;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    // Written so that a NaN asks for the group.
    wanted[g] = !(limit < bounds.lower(row)[g] - paths_.of_groups()[g]);
    any |= wanted[g];
  }
  if (any) wanted[group_of_[static_cast<std::size_t>(label)]] = true;
  return any;
}

/// With the scores of all groups that the row wants.
void YinyangNearest::close_row(const float* x, const RowBounds& bounds, std::int64_t row, const Open& open,
                               const float* scores) const {
  const float length = std::sqrt(open.norm) * (1.0001f + static_cast<float>(d_) * 0x1p-24f);
  const float error = error_.constant + error_.slope * length;
  if (!(length < kLargestProduct / std::max(longest_, 1.0f))) return label_exactly(x, bounds, row);
  LeastTwo best = {kInfinity, kInfinity, 0};
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    if (!open.wanted[g]) continue;
    const LeastTwo& found = open.found[g];
    best.second = std::min({best.second, found.second, std::max(best.least, found.least)});
    if (found.least < best.least) {
      best.least = found.least;
      best.column = found.column;
    }
  }
  const float limit = best.least + 2.0f * error;
  // Written so that a NaN is decided exactly.
  if (!(best.second > limit)) best.column = decide(x, scores, open.wanted, limit);
  // |x - c|^2 = |x - shift|^2 + score, within `around`.
  const float around =
      error + open.norm * static_cast<float>(d_ + 16) * 0x1p-23f + std::abs(best.least) * kBoundUlps;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    if (!open.wanted[g]) continue;
    // When another column was decided on, `least` is a bound all the same.
    const LeastTwo& found = open.found[g];
    const float least = found.column == best.column ? found.second : found.least;
    bounds.lower(row)[g] = lower_bound(open.norm + least, around) + paths_.of_groups()[g];
  }
  for (std::int64_t g = n_groups_; g < kGroups; ++g) bounds.lower(row)[g] = kInfinity;
  const std::int32_t label = centroid_of_[static_cast<std::size_t>(best.column)];
  bounds.set_label(row, label);
  bounds.upper(row) = upper_bound(open.norm + scores[best.column], around) - paths_.of(label);
}

/// The column of the nearest of the centroids whose scores lie up to `limit`, or are not to be trusted.
std::int32_t YinyangNearest::decide(const float* x, const float* scores, const bool (&wanted)[kGroups],
                                    float limit) const {
  ExactNearest exact(x, centroids_.data(), d_, kernels_);
  for (std::int32_t c = 0; c < k_; ++c) {
    const std::int32_t column = column_of_[static_cast<std::size_t>(c)];
    if (wanted[group_of_[static_cast<std::size_t>(c)]] && !(scores[column] > limit)) exact.consider(c);
  }
  return column_of_[static_cast<std::size_t>(exact.label())];
}

/// For values at the end of float32's range: compared exactly, every time.
void YinyangNearest::label_exactly(const float* x, const RowBounds& bounds, std::int64_t row) const {
  ExactNearest exact(x, centroids_.data(), d_, kernels_);
  for (std::int64_t c = 0; c < k_; ++c) exact.consider(static_cast<std::int32_t>(c));
  bounds.set_label(row, exact.label());
  bounds.upper(row) = kInfinity;
  std::fill_n(bounds.lower(row), bounds.n_groups(), 0.0f);
}

}  // namespace phase0::linalg
