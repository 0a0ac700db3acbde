#include "linalg/bounded_nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "linalg/nearest.h"

namespace phase0::linalg {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kUlps = 0x1p-20f;  ///< a few roundings of float32, relative

std::int64_t groups_of(std::int64_t k, std::int64_t group_size) {
  return (k + group_size - 1) / group_size;
}

std::int64_t group_size_of(std::int64_t k) {
  const std::int64_t lanes = groups_of(k, kScoreLanes);
  return groups_of(lanes, RowBounds::kGroups) * kScoreLanes;
}

float rounded_up(double value) {
  return static_cast<float>(value) * (1.0f + kUlps);
}

/// Bound of |computed - exact| of a product of Kernels::scores, relative to |x||c|.
double scores_error(std::int64_t d) {
  return static_cast<double>(d / 4 + 8) * 0x1p-24;
}

}  // namespace

BoundedNearest::BoundedNearest(std::int64_t k, std::span<const float> shift, const Kernels& set)
    : kernels_(set),
      k_(k),
      d_(std::ssize(shift)),
      group_size_(group_size_of(k)),
      n_groups_(groups_of(k, group_size_)),
      padded_(n_groups_ * group_size_),
      shift_(shift.begin(), shift.end()),
      path_(static_cast<std::size_t>(k), 0.0),
      path_up_(static_cast<std::size_t>(k), 0.0f) {
  PHASE0_CHECK(k >= 1 && d_ >= 1);
  packed_.resize(padded_ * d_);
  norms_.resize(padded_);
}

std::int64_t BoundedNearest::bytes(std::int64_t k, std::int64_t d) {
  const std::int64_t size = group_size_of(k);
  const std::int64_t padded = groups_of(k, size) * size;
  return 4 * (d + k * d + padded * (d + 1)) + 12 * k;
}

void BoundedNearest::move_to(std::span<const float> centroids) {
  PHASE0_CHECK(std::ssize(centroids) == k_ * d_);
  if (!centroids_.empty()) {
    for (std::int64_t g = 0; g < n_groups_; ++g) {
      double farthest = 0;
      for (std::int64_t c = g * group_size_; c < std::min((g + 1) * group_size_, k_); ++c) {
        const double squared =
            kernels_.squared_distance(centroids.data() + c * d_, centroids_.data() + c * d_, d_);
        const double moved = std::sqrt(squared) * (1.0 + 1e-12 * static_cast<double>(d_ + 8));
        path_[static_cast<std::size_t>(c)] += moved;
        path_up_[static_cast<std::size_t>(c)] = rounded_up(path_[static_cast<std::size_t>(c)]);
        farthest = std::max(farthest, moved);
      }
      group_path_[g] += farthest;
      group_path_up_[g] = rounded_up(group_path_[g]);
    }
    slack_ = kUlps * *std::max_element(group_path_up_, group_path_up_ + n_groups_);
  }
  centroids_.assign(centroids.begin(), centroids.end());
  pack(centroids);
}

void BoundedNearest::pack(std::span<const float> centroids) {
  packed_.fill(0.0f);
  norms_.fill(kInfinity);
  double largest = 0;
  for (std::int64_t c = 0; c < k_; ++c) {
    const std::int64_t group = c / group_size_;
    float* packed = packed_.data() + group * group_size_ * d_ + c % group_size_;
    double norm = 0;
    for (std::int64_t j = 0; j < d_; ++j) {
      const double value = static_cast<double>(centroids[static_cast<std::size_t>(c * d_ + j)]) -
                           static_cast<double>(shift_[static_cast<std::size_t>(j)]);
      packed[j * group_size_] = -2.0f * static_cast<float>(value);
      norm += value * value;
    }
    norms_[c] = static_cast<float>(norm);
    largest = std::max(largest, norm);
  }
  const double longest = std::sqrt(largest) * 1.000001;
  longest_ = static_cast<float>(longest);
  error_ = score_error(d_, scores_error(d_), longest);
}

bool BoundedNearest::settled(const RowBounds& bounds) const {
  if (bounds.label == kUnlabelled) return false;
  float lower = kInfinity;
  for (std::int64_t g = 0; g < RowBounds::kGroups; ++g) {
    lower = std::min(lower, bounds.lower[g] - group_path_up_[g]);
  }
  const float upper = bounds.upper + path_up_[static_cast<std::size_t>(bounds.label)];
  return (upper + slack_) * (1.0f + kUlps) < lower;
}

/// Tightens the upper bound and says which groups may hold a centroid that is as near; false for none.
bool BoundedNearest::near_groups(const float* x, const RowBounds& bounds, float& upper,
                                 bool (&wanted)[RowBounds::kGroups]) const {
  if (bounds.label == kUnlabelled) {
    std::fill_n(wanted, n_groups_, true);
    return true;
  }
  const float relative = static_cast<float>(d_ + 16) * 0x1p-23f;
  const float squared = kernels_.squared_distance_float(x, centroids_.data() + bounds.label * d_, d_);
  upper = std::sqrt(squared * (1.0f + relative) + static_cast<float>(d_) * 0x1p-120f) * (1.0f + kUlps);
  const float limit = (upper + slack_) * (1.0f + kUlps);
  bool any = false;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    // Written so that a NaN asks for the group.
    wanted[g] = !(limit < bounds.lower[g] - group_path_up_[g]);
    any |= wanted[g];
  }
  if (any) wanted[bounds.label / group_size_] = true;
  return any;
}

void BoundedNearest::update(const float* x, const float* shifted, float norm, RowBounds& bounds,
                            float* scores) const {
  bool wanted[RowBounds::kGroups] = {};
  float upper = 0;
  if (!near_groups(x, bounds, upper, wanted)) {
    bounds.upper = upper - path_up_[static_cast<std::size_t>(bounds.label)];
    return;
  }
  const float length = std::sqrt(norm) * (1.0001f + static_cast<float>(d_) * 0x1p-24f);
  const float error = error_.constant + error_.slope * length;
  if (!(length < kLargestProduct / std::max(longest_, 1.0f))) return label_exactly(x, bounds);
  float best = kInfinity;
  std::int64_t label = 0;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    if (!wanted[g]) continue;
    const std::int64_t first = g * group_size_;
    kernels_.scores(shifted, packed_.data() + first * d_, norms_.data() + first, group_size_, d_,
                    scores + first);
    for (std::int64_t c = first; c < first + group_size_; ++c) {
      if (scores[c] < best) {
        best = scores[c];
        label = c;
      }
    }
  }
  const float limit = best + 2.0f * error;
  const std::int32_t exact = decide(x, scores, wanted, limit);
  if (exact >= 0) label = exact;
  // |x - c|^2 = |x - shift|^2 + score, within `around`.
  const float around = error + norm * static_cast<float>(d_ + 16) * 0x1p-23f + std::abs(best) * kUlps;
  for (std::int64_t g = 0; g < n_groups_; ++g) {
    if (!wanted[g]) continue;
    float least = kInfinity;
    for (std::int64_t c = g * group_size_; c < (g + 1) * group_size_; ++c) {
      if (c != label && scores[c] < least) least = scores[c];
    }
    const float squared = norm + least - around;
    const float lower = squared > 0.0f ? std::sqrt(squared) * (1.0f - kUlps) : 0.0f;
    bounds.lower[g] = lower + group_path_up_[g];
  }
  for (std::int64_t g = n_groups_; g < RowBounds::kGroups; ++g) bounds.lower[g] = kInfinity;
  bounds.label = static_cast<std::int32_t>(label);
  upper = std::sqrt(std::max(norm + scores[label] + around, 0.0f)) * (1.0f + kUlps);
  bounds.upper = upper - path_up_[static_cast<std::size_t>(label)];
}

/// The nearest of the computed centroids whose scores lie up to `limit`; -1 when there is just one.
std::int32_t BoundedNearest::decide(const float* x, const float* scores,
                                    const bool (&wanted)[RowBounds::kGroups], float limit) const {
  std::int32_t best = -1;
  bool several = false;
  const auto each = [&](const auto& visit) {
    for (std::int64_t g = 0; g < n_groups_; ++g) {
      if (!wanted[g]) continue;
      for (std::int64_t c = g * group_size_; c < std::min((g + 1) * group_size_, k_); ++c) {
        if (scores[c] <= limit) visit(static_cast<std::int32_t>(c));
      }
    }
  };
  each([&](std::int32_t c) {
    several = best >= 0;
    best = c;
  });
  if (!several) return -1;
  ExactNearest exact(x, centroids_.data(), d_, kernels_);
  each([&](std::int32_t c) { exact.consider(c); });
  return exact.label();
}

/// For values at the end of float32's range: compared exactly, every time.
void BoundedNearest::label_exactly(const float* x, RowBounds& bounds) const {
  ExactNearest exact(x, centroids_.data(), d_, kernels_);
  for (std::int64_t c = 0; c < k_; ++c) exact.consider(static_cast<std::int32_t>(c));
  bounds.label = exact.label();
  bounds.upper = kInfinity;
  std::fill_n(bounds.lower, RowBounds::kGroups, 0.0f);
}

}  // namespace phase0::linalg
