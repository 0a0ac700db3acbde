#include "linalg/nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::linalg {
int compare_distances(const float* x, const float* a, const float* b, std::int64_t d) {
  if (std::equal(a, a + d, b)) return 0;  // the usual tie, and float128 is slow
  __extension__ using Quad = __float128;
  // |x - a|^2 - |x - b|^2 without the squares of x, which would drown small centroids.
  Quad difference = 0;
  for (std::int64_t j = 0; j < d; ++j) {
    const auto to = static_cast<Quad>(x[j]);
    const auto from_a = static_cast<Quad>(a[j]);
    const auto from_b = static_cast<Quad>(b[j]);
    difference += (from_b - from_a) * ((to - from_a) + (to - from_b));
  }
  return difference < 0 ? -1 : (difference > 0 ? 1 : 0);
}

/// With u = 2^-24: rounding the shifted x and c costs 4u|x||c|, the product 2 product_error |x||c| (Higham
/// 2002, section 3.1), the norm and the last addition 2u|c|^2 + 2u|x||c|; 2 % on top for second-order terms
/// and for norms that are themselves rounded. Products that underflow and operands that count as 0 below the
/// least normal number come as absolute terms.
ScoreError score_error(std::int64_t d, double product_error, double longest) {
  constexpr double kUnitRoundoff = 0x1p-24;
  const double width = static_cast<double>(d);
  const double flushed = std::sqrt(width) * 0x1p-120;
  return {static_cast<float>(1.02 * 3.0 * kUnitRoundoff * longest * longest + width * 0x1p-120 +
                             flushed * longest),
          static_cast<float>(1.02 * (8.0 * kUnitRoundoff + 2.0 * product_error) * longest + flushed)};
}

void ExactNearest::consider(std::int32_t id) {
  const float* centroid = centroids_ + id * d_;
  const double distance = kernels_.squared_distance(x_, centroid, d_);
  bool nearer = label_ < 0 || distance < distance_;
  const double relative = static_cast<double>(d_ + 8) * 0x1p-52;
  if (label_ >= 0 && !(std::abs(distance - distance_) > relative * (distance + distance_))) {
    const int order = compare_distances(x_, centroid, centroids_ + label_ * d_, d_);
    nearer = order < 0 || (order == 0 && id < label_);
  }
  if (!nearer) return;
  label_ = id;
  distance_ = distance;
}

/// What the kernel says of a tile's rows.
struct NearestCentroids::TileResult {
  alignas(64) float norms[kMostTileRows];    ///< squared, of the shifted rows
  alignas(64) float lengths[kMostTileRows];  ///< no less than their roots
  alignas(64) float gap[kMostTileRows] = {};
  alignas(64) float score[kMostTileRows];
  alignas(64) std::int32_t column[kMostTileRows];
  alignas(64) std::int32_t n_within[kMostTileRows];
  alignas(64) float second[kMostTileRows];
  alignas(64) float error[kMostTileRows];
};

NearestCentroids::NearestCentroids(std::vector<float> centroids, const std::vector<std::int64_t>& set_sizes,
                                   std::int64_t d, std::span<const float> shift, const Kernels& set)
    : kernels_(set),
      product_(set.nearest(d)),
      d_(d),
      padded_d_(core::round_up(d, product_.feature_group)),
      centroids_(std::move(centroids)),
      shift_(shift.begin(), shift.end()) {
  PHASE0_CHECK(product_.tile_rows <= kMostTileRows);
  std::int64_t n_centroids = 0;
  std::int64_t n_padded = 0;
  for (const std::int64_t size : set_sizes) {
    PHASE0_CHECK(size >= 1);
    const std::int64_t padded = core::round_up(size, product_.centroid_group);
    sets_.push_back({.first = n_centroids, .size = size, .first_padded = n_padded, .padded = padded});
    n_centroids += size;
    n_padded += padded;
  }
  PHASE0_CHECK(d >= 1 && std::ssize(shift_) == d && std::ssize(centroids_) == n_centroids * d);
  packed_.resize(n_padded * padded_d_);
  norms_.resize(n_padded);
  norms_.fill(std::numeric_limits<float>::infinity());
  for (Set& each : sets_) pack(each);
}

void NearestCentroids::pack(Set& set) {
  std::vector<float> shifted(static_cast<std::size_t>(set.size * d_));
  double largest = 0;
  for (std::int64_t c = 0; c < set.size; ++c) {
    double norm = 0;
    for (std::int64_t j = 0; j < d_; ++j) {
      const double value =
          static_cast<double>(centroids_[static_cast<std::size_t>((set.first + c) * d_ + j)]) -
          static_cast<double>(shift_[static_cast<std::size_t>(j)]);
      shifted[static_cast<std::size_t>(c * d_ + j)] = static_cast<float>(value);
      norm += value * value;
    }
    norms_[set.first_padded + c] = static_cast<float>(norm);
    largest = std::max(largest, norm);
  }
  const double longest = std::sqrt(largest) * 1.000001;
  set.longest = largest < kLargestNorm ? static_cast<float>(longest) : std::numeric_limits<float>::infinity();
  set.error = score_error(d_, product_.product_error(d_), longest);
  product_.pack_centroids(shifted.data(), set.size, d_, packed_.data() + set.first_padded * padded_d_);
}

std::int64_t NearestCentroids::bytes(std::int64_t k, std::int64_t d, std::int64_t n_sets) {
  const NearestKernel& product = kernels().nearest(d);
  const std::int64_t packed = core::round_up(k, product.centroid_group) *
                              (core::round_up(d, product.feature_group) + 1);  // with the norms
  const std::int64_t shifted = k * d;                                          // of the set being packed
  return 4 * (n_sets * (k * d + packed) + shifted);
}

std::int64_t NearestCentroids::workspace_bytes(std::int64_t n, std::int64_t d, std::int64_t n_sets,
                                               Want want) {
  const NearestKernel& product = kernels().nearest(d);
  const std::int64_t tile = product.tile_rows * core::round_up(d, product.feature_group);
  return 4 * ((want == Want::kSecond ? 4 : 2) * n * n_sets + tile);
}

void NearestCentroids::prepare(Workspace& workspace, std::int64_t n, Want want) const {
  if (want == Want::kSecond) {
    workspace.second.resize(n_sets() * n);
    workspace.error.resize(n_sets() * n);
  }
  workspace.labels.resize(n_sets() * n);
  workspace.squared.resize(n_sets() * n);
  workspace.tile.resize(product_.tile_rows * padded_d_);
}

void NearestCentroids::assign(const float* x, std::int64_t n, Workspace& workspace, Want want) const {
  const bool want_second = want == Want::kSecond;
  prepare(workspace, n, want);
  TileResult result;
  const float slack = 1.0001f + static_cast<float>(d_) * 0x1p-24f;  // the norms are sums of rounded terms
  for (std::int64_t row = 0; row < n; row += product_.tile_rows) {
    const std::int64_t count = std::min(product_.tile_rows, n - row);
    product_.pack_rows(x + row * d_, shift_.data(), count, d_, workspace.tile.data(), result.norms);
    for (std::int64_t r = 0; r < count; ++r) result.lengths[r] = std::sqrt(result.norms[r]) * slack;
    const std::int64_t next = row + count;
    const std::int64_t after = std::min(next + product_.tile_rows, n);
    const Prefetch ahead{reinterpret_cast<const char*>(x + next * d_),
                         reinterpret_cast<const char*>(x + after * d_)};
    for (std::int64_t s = 0; s < n_sets(); ++s) {
      assign_set(sets_[static_cast<std::size_t>(s)], x + row * d_, count, s == 0 ? ahead : Prefetch{}, result,
                 workspace, want_second);
      std::copy_n(result.column, count, workspace.labels.data() + s * n + row);
      std::copy_n(result.score, count, workspace.squared.data() + s * n + row);
      if (want_second) {
        std::copy_n(result.second, count, workspace.second.data() + s * n + row);
        std::copy_n(result.error, count, workspace.error.data() + s * n + row);
      }
    }
  }
}

void NearestCentroids::assign_set(const Set& set, const float* x, std::int64_t count, Prefetch ahead,
                                  TileResult& result, Workspace& workspace, bool want_second) const {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();  // no candidate: decide() looks at all
  const float longest_row = kLargestProduct / std::max(set.longest, 1.0f);
  for (std::int64_t r = 0; r < count; ++r) {
    const float length = result.lengths[r];
    const float gap = 2.0f * (set.error.constant + set.error.slope * length);
    result.gap[r] = length < longest_row ? gap : kNone;
  }
  product_.nearest(workspace.tile.data(), packed_.data() + set.first_padded * padded_d_,
                   norms_.data() + set.first_padded, set.padded, d_, result.gap, result.score, result.column,
                   result.n_within, want_second ? result.second : nullptr, ahead);
  if (want_second) {
    const float relative = static_cast<float>(d_ + 16) * 0x1p-23f;  // of norms, and of what is added to them
    for (std::int64_t r = 0; r < count; ++r) {
      result.second[r] += result.norms[r];
      result.error[r] = 0.5f * result.gap[r] + relative * (result.norms[r] + std::abs(result.score[r]));
    }
  }
  std::int32_t uncertain = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    result.score[r] = std::max(result.norms[r] + result.score[r], 0.0f);
    uncertain |= result.n_within[r] ^ 1;
  }
  if (uncertain == 0) return;
  for (std::int64_t r = 0; r < count; ++r) {
    if (result.n_within[r] == 1) continue;
    const std::int32_t label = decide(set, x + r * d_);
    const float* centroid = centroids_.data() + (set.first + label) * d_;
    result.column[r] = label;
    result.score[r] = static_cast<float>(kernels_.squared_distance(x + r * d_, centroid, d_));
    if (want_second) result.second[r] = result.score[r];
    ++workspace.n_uncertain;
  }
}

std::int32_t NearestCentroids::decide(const Set& set, const float* x) const {
  ExactNearest exact(x, centroids_.data() + set.first * d_, d_, kernels_);
  for (std::int64_t c = 0; c < set.size; ++c) exact.consider(static_cast<std::int32_t>(c));
  return exact.label();
}

}  // namespace phase0::linalg
