#include "linalg/nearest.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "linalg/blas.h"
#include "linalg/kernels.h"

namespace phase0::linalg {
namespace {

constexpr float kUnitRoundoff = 0x1p-24f;
constexpr std::int64_t kProductBytes = std::int64_t{1} << 20;

/// Rows per product, so that the product stays in the second-level cache.
std::int64_t piece_rows(std::int64_t n_centroids) {
  return std::clamp<std::int64_t>(kProductBytes / 4 / std::max<std::int64_t>(n_centroids, 1), 32, 1024);
}

/// Bound of |computed - exact| of |c|^2 - 2 x.c for a shifted row of norm `x` and a shifted centroid of norm
/// `c`. With u = 2^-24: rounding the shifted x and c costs 4u|x||c|, the product d u per term in any order of
/// summation (Higham 2002, section 3.1), the norm and the last subtraction 2u|c|^2 + 2u|x||c|; 2 % on top for
/// second-order terms and for norms that are themselves rounded, and a least value for products that
/// underflow.
float error_bound(float x, float c, std::int64_t d) {
  const float per_product = 2.0f * static_cast<float>(d) + 8.0f;
  const float underflow = static_cast<float>(d) * 0x1p-120f;
  return 1.02f * kUnitRoundoff * (3.0f * c * c + per_product * x * c) + underflow;
}

}  // namespace

int compare_distances(const float* x, const float* a, const float* b, std::int64_t d) {
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

NearestCentroids::NearestCentroids(std::span<const float> centroids, std::vector<std::int64_t> set_sizes,
                                   std::int64_t d, std::span<const float> shift)
    : d_(d),
      set_sizes_(std::move(set_sizes)),
      centroids_(centroids.begin(), centroids.end()),
      shift_(shift.begin(), shift.end()) {
  std::int64_t n_centroids = 0;
  for (const std::int64_t size : set_sizes_) n_centroids += size;
  PHASE0_CHECK(d >= 1 && std::ssize(shift_) == d && std::ssize(centroids_) == n_centroids * d);
  shifted_.resize(n_centroids * d);
  norms_.resize(static_cast<std::size_t>(n_centroids));
  lengths_.resize(static_cast<std::size_t>(n_centroids));
  std::int64_t c = 0;
  for (const std::int64_t size : set_sizes_) {
    PHASE0_CHECK(size >= 1);
    double largest = 0;
    for (const std::int64_t end = c + size; c < end; ++c) {
      double norm = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        const double value = static_cast<double>(centroids_[static_cast<std::size_t>(c * d + j)]) -
                             static_cast<double>(shift[j]);
        shifted_[c * d + j] = static_cast<float>(value);
        norm += value * value;
      }
      norms_[static_cast<std::size_t>(c)] = static_cast<float>(norm);
      lengths_[static_cast<std::size_t>(c)] = static_cast<float>(std::sqrt(norm)) * 1.000001f;
      largest = std::max(largest, norm);
    }
    largest_norm_.push_back(static_cast<float>(std::sqrt(largest)) * 1.000001f);
  }
}

std::int64_t NearestCentroids::workspace_bytes(std::int64_t n, std::int64_t d, std::int64_t n_centroids,
                                               std::int64_t n_sets) {
  return 4 * (n * d + n * (3 + 2 * n_sets) + piece_rows(n_centroids) * n_centroids);
}

void NearestCentroids::assign(const float* x, std::int64_t n, Workspace& workspace) const {
  workspace.shifted.resize(n * d_);
  workspace.norms.resize(n);
  workspace.first.resize(n);
  workspace.second.resize(n);
  workspace.labels.resize(n_sets() * n);
  workspace.squared.resize(n_sets() * n);
  kernels().shift_and_norms(x, shift_.data(), workspace.shifted.data(), workspace.norms.data(), n, d_);
  const std::int64_t rows = piece_rows(std::ssize(norms_));
  workspace.products.resize(rows * std::ssize(norms_));
  for (std::int64_t row = 0; row < n; row += rows)
    assign_piece(x, row, std::min(rows, n - row), n, workspace);
}

void NearestCentroids::assign_piece(const float* x, std::int64_t first_row, std::int64_t piece,
                                    std::int64_t n, Workspace& workspace) const {
  const std::int64_t n_centroids = std::ssize(norms_);
  multiply_abt(piece, n_centroids, d_, workspace.shifted.data() + first_row * d_, d_, shifted_.data(), d_,
               workspace.products.data(), n_centroids);
  std::int64_t set_first = 0;
  for (std::int64_t set = 0; set < n_sets(); ++set) {
    const std::int64_t size = set_sizes_[static_cast<std::size_t>(set)];
    std::int32_t* labels = workspace.labels.data() + set * n + first_row;
    float* squared = workspace.squared.data() + set * n + first_row;
    const float* products = workspace.products.data() + set_first;
    kernels().smallest_two(products, norms_.data() + set_first, n_centroids, piece, size,
                           workspace.first.data(), workspace.second.data(), labels);
    for (std::int64_t r = 0; r < piece; ++r) {
      const float norm = workspace.norms[first_row + r];
      const float bound =
          error_bound(std::sqrt(norm) * 1.0001f, largest_norm_[static_cast<std::size_t>(set)], d_);
      // Not "<=": an infinite or NaN bound or product must take the slow way.
      if (!(workspace.second[r] - workspace.first[r] > 2 * bound) && size > 1) {
        labels[r] = decide(x + (first_row + r) * d_, products + r * n_centroids, norm, set_first, size);
        ++workspace.n_uncertain;
      }
      const float score = norms_[static_cast<std::size_t>(set_first + labels[r])] -
                          2.0f * products[r * n_centroids + labels[r]];
      squared[r] = std::max(norm + score, 0.0f);
    }
    set_first += size;
  }
}

std::int32_t NearestCentroids::decide(const float* x, const float* products, float norm,
                                      std::int64_t set_first, std::int64_t set_size) const {
  const float x_norm = std::sqrt(norm) * 1.0001f;
  const auto score = [&](std::int64_t c) {
    return norms_[static_cast<std::size_t>(set_first + c)] - 2.0f * products[c];
  };
  const auto bound = [&](std::int64_t c) {
    return error_bound(x_norm, lengths_[static_cast<std::size_t>(set_first + c)], d_);
  };
  float ceiling = std::numeric_limits<float>::infinity();
  for (std::int64_t c = 0; c < set_size; ++c) {
    const float highest = score(c) + bound(c);
    if (highest < ceiling) ceiling = highest;
  }
  const auto centroid = [&](std::int64_t c) { return centroids_.data() + (set_first + c) * d_; };
  const double relative = static_cast<double>(d_ + 8) * 0x1p-52;
  std::int64_t best = -1;
  double best_distance = 0;
  for (std::int64_t c = 0; c < set_size; ++c) {
    if (score(c) - bound(c) > ceiling) continue;  // false for NaN: then it stays a candidate
    const double distance = kernels().squared_distance(x, centroid(c), d_);
    bool nearer = best < 0 || distance < best_distance;
    if (best >= 0 && !(std::abs(distance - best_distance) > relative * (distance + best_distance))) {
      nearer = compare_distances(x, centroid(c), centroid(best), d_) < 0;
    }
    if (nearer) {
      best = c;
      best_distance = distance;
    }
  }
  return static_cast<std::int32_t>(best);
}

}  // namespace phase0::linalg
