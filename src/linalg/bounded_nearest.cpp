#include "linalg/bounded_nearest.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/check.h"
#include "core/checked.h"
#include "linalg/nearest.h"

namespace phase0::linalg {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// 16 roundings of float32, relative. A settled row's two bounds meet ten: the paths of the label and the
/// group rounded up, both bounds stored less or plus a path, both read again, and their own last rounding.
constexpr float kUlps = 0x1p-20f;

typedef float Four __attribute__((vector_size(16)));

Four four(const float* from) {
  Four values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

/// Of k centroids in up to `groups` groups.
std::int64_t group_size_of(std::int64_t k, std::int64_t groups) {
  const std::int64_t lanes = core::ceil_div(k, kScoreLanes);
  return core::ceil_div(lanes, groups) * kScoreLanes;
}

/// Bounds of a distance whose square is `squared` within `error`, also where those are NaN.
float upper_bound(float squared, float error) {
  return std::sqrt(std::max(squared + error, 0.0f)) * (1.0f + kUlps);
}
float lower_bound(float squared, float error) {
  const float least = squared - error;
  return least > 0.0f ? std::sqrt(least) * (1.0f - kUlps) : 0.0f;
}

/// Unsettled rows that are on their way from memory: it takes as long as to look at one.
constexpr std::size_t kRowsAhead = 2;

void prefetch_row(const float* row, std::int64_t d) {
  for (std::int64_t j = 0; j < d; j += 16) __builtin_prefetch(row + j, 0, 2);
}

float rounded_up(double value) {
  return static_cast<float>(value) * (1.0f + kUlps);
}

/// Bound of |computed - exact| of a product of Kernels::score_row and score_rows, relative to |x||c|.
double score_row_error(std::int64_t d) {
  return static_cast<double>(d / 2 + 8) * 0x1p-24;
}

}  // namespace

BoundedNearest::BoundedNearest(std::int64_t k, std::span<const float> shift, const Kernels& set)
    : kernels_(set),
      k_(k),
      d_(std::ssize(shift)),
      group_size_(group_size_of(k, groups(d_))),
      n_groups_(core::ceil_div(k, group_size_)),
      centroid_of_(static_cast<std::size_t>(k)),
      column_of_(static_cast<std::size_t>(k)),
      shift_(shift.begin(), shift.end()),
      path_(static_cast<std::size_t>(k), 0.0),
      path_up_(static_cast<std::size_t>(k), 0.0f) {
  PHASE0_CHECK(k >= 1 && d_ >= 1);
  if (groups(d_) == 1) return;
  packed_.resize(score_room(k) * d_);
  norms_.resize(score_room(k));
}

/// Those of few features fill the product's tiles.
std::int64_t BoundedNearest::open_rows(std::int64_t d) {
  return groups(d) == 1 ? kOpenShortRows : kOpenRows;
}

std::int64_t BoundedNearest::score_room(std::int64_t k) {
  return core::round_up(k, group_size_of(k, kMostGroups));
}

std::int64_t BoundedNearest::bytes(std::int64_t k, std::int64_t d) {
  const std::int64_t product =
      groups(d) == 1 ? NearestCentroids::bytes(k, d, 1) : 4 * score_room(k) * (d + 2);
  return 4 * (d + k * d) + product + 16 * k;
}

std::int64_t BoundedNearest::workspace_bytes(std::int64_t rows, std::int64_t k, std::int64_t d) {
  const std::int64_t open = open_rows(d);
  const auto each = static_cast<std::int64_t>(sizeof(Open)) + 4 * d;
  const std::int64_t scored =
      groups(d) > 1 ? 4 * open * score_room(k)
                    : NearestCentroids::workspace_bytes(open, d, 1, NearestCentroids::Want::kSecond);
  return (static_cast<std::int64_t>(sizeof(Relabelled)) + 4) * rows + open * each + scored;
}

void BoundedNearest::move_to(std::span<const float> centroids) {
  PHASE0_CHECK(std::ssize(centroids) == k_ * d_);
  if (centroids_.empty()) {
    if (groups(d_) > 1) form_groups(centroids);
  } else {
    extend_paths(centroids);
  }
  centroids_.assign(centroids.begin(), centroids.end());
  if (groups(d_) == 1) {
    nearest_.emplace(centroids_, std::vector<std::int64_t>{k_}, d_, shift_, kernels_);
  } else {
    pack(centroids);
  }
}

void BoundedNearest::extend_paths(std::span<const float> centroids) {
  double farthest[kMostGroups] = {};
  for (std::int64_t c = 0; c < k_; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const double squared =
        kernels_.squared_distance(centroids.data() + c * d_, centroids_.data() + c * d_, d_);
    const double moved = std::sqrt(squared) * (1.0 + 1e-12 * static_cast<double>(d_ + 8));
    path_[at] += moved;
    path_up_[at] = rounded_up(path_[at]);
    double& most = farthest[column_of_[at] / group_size_];
    most = std::max(most, moved);
  }
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    group_path_[g] += farthest[g];
    group_path_up_[g] = rounded_up(group_path_[g]);
  }
  slack_ = kUlps * *std::max_element(group_path_up_, group_path_up_ + n_groups_);
}

/// Halves the centroids along the widest dimension until the parts are groups: what lies together has bounds
/// that say more.
void BoundedNearest::form_groups(std::span<const float> centroids) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(k_));
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::int32_t c, std::int64_t j) {
    return centroids[static_cast<std::size_t>(c * d_ + j)];
  };
  const auto widest = [&](auto first, auto last) {
    std::int64_t dimension = 0;
    double most = -1;
    for (std::int64_t j = 0; j < d_; ++j) {
      double sum = 0;
      double squares = 0;
      for (auto each = first; each != last; ++each) {
        const double v = static_cast<double>(value(*each, j) - shift_[static_cast<std::size_t>(j)]);
        sum += v;
        squares += v * v;
      }
      const double spread = squares - sum * sum / static_cast<double>(last - first);
      if (spread > most) {
        most = spread;
        dimension = j;
      }
    }
    return dimension;
  };
  const auto split = [&](const auto& self, auto first, auto last) -> void {
    const std::int64_t groups = core::ceil_div(last - first, group_size_);
    if (groups <= 1) return;
    const auto middle = first + (groups + 1) / 2 * group_size_;
    const std::int64_t dimension = widest(first, last);
    std::nth_element(first, middle, last, [&](std::int32_t a, std::int32_t b) {
      return value(a, dimension) != value(b, dimension) ? value(a, dimension) < value(b, dimension) : a < b;
    });
    self(self, first, middle);
    self(self, middle, last);
  };
  split(split, order.begin(), order.end());
  for (std::int64_t column = 0; column < k_; ++column) {
    const std::int32_t c = order[static_cast<std::size_t>(column)];
    centroid_of_[static_cast<std::size_t>(column)] = c;
    column_of_[static_cast<std::size_t>(c)] = static_cast<std::int32_t>(column);
  }
}

void BoundedNearest::pack(std::span<const float> centroids) {
  packed_.fill(0.0f);
  norms_.fill(kInfinity);
  double largest = 0;
  for (std::int64_t column = 0; column < k_; ++column) {
    const std::int64_t c = centroid_of_[static_cast<std::size_t>(column)];
    float* packed = packed_.data() + column / group_size_ * group_size_ * d_ + column % group_size_;
    double norm = 0;
    for (std::int64_t j = 0; j < d_; ++j) {
      const double value = static_cast<double>(centroids[static_cast<std::size_t>(c * d_ + j)]) -
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

bool BoundedNearest::settled(const RowBounds& bounds, std::int64_t row) const {
  const std::int32_t label = bounds.label(row);
  if (label == kUnlabelled) return false;
  // A NaN can only come of an infinite path, with which the slack is infinite too.
  const float* low = bounds.lower(row);
  float lower = low[0] - group_path_up_[0];
  if (groups(d_) > 1) {
    const Four first = four(low) - four(group_path_up_);
    const Four others = four(low + 4) - four(group_path_up_ + 4);
    const Four least = first < others ? first : others;
    lower = std::min(std::min(least[0], least[1]), std::min(least[2], least[3]));
  }
  const float upper = bounds.upper(row) + path_up_[static_cast<std::size_t>(label)];
  return (upper + slack_) * (1.0f + kUlps) < lower;
}

void BoundedNearest::mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const {
  for (std::int64_t r = 0; r < n; ++r) marks[r] |= static_cast<std::uint8_t>(!settled(bounds, r));
}

void BoundedNearest::label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
                           Workspace& workspace) const {
  const auto most = static_cast<std::size_t>(open_rows(d_));
  workspace.relabelled.clear();
  workspace.relabelled.reserve(rows.size());
  workspace.open.clear();
  workspace.open.reserve(most);
  workspace.rows.resize(open_rows(d_) * d_);
  workspace.unsettled.resize(rows.size());
  std::size_t n = 0;
  for (std::int32_t i = 0; i < std::ssize(rows); ++i) {
    workspace.unsettled[n] = i;
    n += settled(bounds, rows[static_cast<std::size_t>(i)]) ? 0 : 1;
  }
  for (std::size_t u = 0; u < n; ++u) {
    if (u + kRowsAhead < n) prefetch_row(x + workspace.unsettled[u + kRowsAhead] * d_, d_);
    open(x, workspace.unsettled[u], bounds, rows, workspace);
    if (workspace.open.size() == most) close(x, rows, bounds, workspace);
  }
  close(x, rows, bounds, workspace);
}

/// Takes an unsettled row up, unless a closer look settles it.
void BoundedNearest::open(const float* x, std::int32_t i, const RowBounds& bounds,
                          std::span<const std::int32_t> rows, Workspace& workspace) const {
  x += i * d_;
  const std::int32_t row = rows[static_cast<std::size_t>(i)];
  float* to = workspace.rows.data() + std::ssize(workspace.open) * d_;
  Open taken;
  taken.row = i;
  if (groups(d_) == 1) {
    std::copy_n(x, d_, to);
  } else {
    float upper = 0;
    if (!near_groups(x, bounds, row, upper, taken.wanted)) {
      bounds.upper(row) = upper - path_up_[static_cast<std::size_t>(bounds.label(row))];
      return;
    }
    kernels_.shift_and_norms(x, shift_.data(), to, &taken.norm, 1, d_);
  }
  workspace.open.push_back(taken);
}

/// Labels the open rows.
void BoundedNearest::close(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
                           Workspace& workspace) const {
  if (groups(d_) == 1) {
    close_few(rows, bounds, workspace);
  } else {
    workspace.scores.resize(kOpenRows * score_room(k_));
    for (std::int64_t g = 0; g < n_groups_; ++g) score_group(g, workspace);
    const float* scores = workspace.scores.data();
    for (const Open& each : workspace.open) {
      const std::int32_t row = rows[static_cast<std::size_t>(each.row)];
      const std::int32_t before = bounds.label(row);
      close_row(x + each.row * d_, bounds, row, each, scores);
      if (bounds.label(row) != before) workspace.relabelled.push_back({each.row, before});
      scores += score_room(k_);
    }
  }
  workspace.open.clear();
}

void BoundedNearest::close_few(std::span<const std::int32_t> rows, const RowBounds& bounds,
                               Workspace& workspace) const {
  NearestCentroids::Workspace& found = workspace.nearest;
  nearest_->assign(workspace.rows.data(), std::ssize(workspace.open), found, NearestCentroids::Want::kSecond);
  for (std::int64_t i = 0; i < std::ssize(workspace.open); ++i) {
    const std::int32_t at = workspace.open[static_cast<std::size_t>(i)].row;
    const std::int32_t row = rows[static_cast<std::size_t>(at)];
    const std::int32_t before = bounds.label(row);
    const std::int32_t label = found.labels[i];
    if (label != before) workspace.relabelled.push_back({at, before});
    bounds.set_label(row, label);
    bounds.upper(row) =
        upper_bound(found.squared[i], found.error[i]) - path_up_[static_cast<std::size_t>(label)];
    *bounds.lower(row) = lower_bound(found.second[i], found.error[i]) + group_path_up_[0];
  }
}

/// Scores of a group for the open rows that want it.
void BoundedNearest::score_group(std::int64_t group, Workspace& workspace) const {
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
bool BoundedNearest::near_groups(const float* x, const RowBounds& bounds, std::int64_t row, float& upper,
                                 bool (&wanted)[kMostGroups]) const {
  const std::int32_t label = bounds.label(row);
  if (label == kUnlabelled) {
    std::fill_n(wanted, n_groups_, true);
    return true;
  }
  const float relative = static_cast<float>(d_ + 16) * 0x1p-23f;
  const float squared = kernels_.squared_distance_float(x, centroids_.data() + label * d_, d_);
  upper = std::sqrt(squared * (1.0f + relative) + static_cast<float>(d_) * 0x1p-120f) * (1.0f + kUlps);
  const float limit = (upper + slack_) * (1.0f + kUlps);
  bool any = false;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    // Written so that a NaN asks for the group.
    wanted[g] = !(limit < bounds.lower(row)[g] - group_path_up_[g]);
    any |= wanted[g];
  }
  if (any) wanted[column_of_[static_cast<std::size_t>(label)] / group_size_] = true;
  return any;
}

/// With the scores of all groups that the row wants.
void BoundedNearest::close_row(const float* x, const RowBounds& bounds, std::int64_t row, const Open& open,
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
      error + open.norm * static_cast<float>(d_ + 16) * 0x1p-23f + std::abs(best.least) * kUlps;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    if (!open.wanted[g]) continue;
    // When another column was decided on, `least` is a bound all the same.
    const LeastTwo& found = open.found[g];
    const float least = found.column == best.column ? found.second : found.least;
    bounds.lower(row)[g] = lower_bound(open.norm + least, around) + group_path_up_[g];
  }
  for (std::int64_t g = n_groups_; g < kMostGroups; ++g) bounds.lower(row)[g] = kInfinity;
  const std::int32_t label = centroid_of_[static_cast<std::size_t>(best.column)];
  bounds.set_label(row, label);
  bounds.upper(row) =
      upper_bound(open.norm + scores[best.column], around) - path_up_[static_cast<std::size_t>(label)];
}

/// The column of the nearest of the centroids whose scores lie up to `limit`, or are not to be trusted.
std::int32_t BoundedNearest::decide(const float* x, const float* scores, const bool (&wanted)[kMostGroups],
                                    float limit) const {
  ExactNearest exact(x, centroids_.data(), d_, kernels_);
  for (std::int32_t c = 0; c < k_; ++c) {
    const std::int32_t column = column_of_[static_cast<std::size_t>(c)];
    if (wanted[column / group_size_] && !(scores[column] > limit)) exact.consider(c);
  }
  return column_of_[static_cast<std::size_t>(exact.label())];
}

/// For values at the end of float32's range: compared exactly, every time.
void BoundedNearest::label_exactly(const float* x, const RowBounds& bounds, std::int64_t row) const {
  ExactNearest exact(x, centroids_.data(), d_, kernels_);
  for (std::int64_t c = 0; c < k_; ++c) exact.consider(static_cast<std::int32_t>(c));
  bounds.set_label(row, exact.label());
  bounds.upper(row) = kInfinity;
  std::fill_n(bounds.lower(row), kMostGroups, 0.0f);
}

}  // namespace phase0::linalg
