#include "models/scalar_kmeans.h"

#include <algorithm>
#include <limits>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::models {
namespace {

std::size_t as_index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Sums over the first points, for the cost of any run of them. Values are taken from the middle one, or
/// their squares would drown what they differ by.
class RunCosts {
 public:
  explicit RunCosts(const LinePoints& points) : origin_(points.values[points.values.size() / 2]) {
    sums_.reserve(points.values.size() + 1);
    sums_.push_back({});
    for (std::size_t i = 0; i < points.values.size(); ++i) {
      const double value = points.values[i] - origin_;
      const double weight = points.weights[i];
      const Sums& before = sums_.back();
      sums_.push_back(
          {before.weight + weight, before.first + weight * value, before.second + weight * value * value});
    }
  }

  /// Of points [begin, end): squared distances to their mean.
  double cost(std::int64_t begin, std::int64_t end) const {
    const Sums& a = sums_[as_index(begin)];
    const Sums& b = sums_[as_index(end)];
    const double first = b.first - a.first;
    return std::max(b.second - a.second - first * first / (b.weight - a.weight), 0.0);
  }
  double mean(std::int64_t begin, std::int64_t end) const {
    const Sums& a = sums_[as_index(begin)];
    const Sums& b = sums_[as_index(end)];
    return origin_ + (b.first - a.first) / (b.weight - a.weight);
  }

 private:
  struct Sums {
    double weight = 0, first = 0, second = 0;
  };
  double origin_;
  std::vector<Sums> sums_;
};

/// The dynamic programme: best_[e] is the least cost of the first e + 1 points in so many clusters.
class Layers {
 public:
  Layers(const RunCosts& costs, std::int64_t n, std::int64_t k)
      : costs_(costs), n_(n), k_(k), begins_(as_index(n * k)), before_(as_index(n)), best_(as_index(n)) {
    for (std::int64_t e = 0; e < n; ++e) best_[as_index(e)] = costs.cost(0, e + 1);
    for (layer_ = 1; layer_ < k; ++layer_) {
      best_.swap(before_);
      // Of the last layer only the end is asked for.
      solve(layer_ == k - 1 ? n - 1 : layer_, n - 1, layer_, n - 1);
    }
  }

  std::vector<double> centroids() const {
    std::vector<double> out(as_index(k_));
    std::int64_t end = n_;
    for (std::int64_t layer = k_ - 1; layer >= 0; --layer) {
      const std::int64_t begin = begins_[as_index(layer * n_ + end - 1)];
      out[as_index(layer)] = costs_.mean(begin, end);
      end = begin;
    }
    return out;
  }

 private:
  /// The last clusters of points up to `low` .. `high`, which begin with one of `least` .. `most`.
  void solve(std::int64_t low, std::int64_t high, std::int64_t least, std::int64_t most) {
    if (low > high) return;
    const std::int64_t middle = low + (high - low) / 2;
    double best = std::numeric_limits<double>::infinity();
    std::int64_t begin = least;
    for (std::int64_t b = least; b <= std::min(middle, most); ++b) {
      const double cost = before_[as_index(b - 1)] + costs_.cost(b, middle + 1);
      if (cost < best) {
        best = cost;
        begin = b;
      }
    }
    best_[as_index(middle)] = best;
    begins_[as_index(layer_ * n_ + middle)] = static_cast<std::int32_t>(begin);
    solve(low, middle - 1, least, begin);
    solve(middle + 1, high, begin, most);
  }

  const RunCosts& costs_;
  std::int64_t n_, k_;
  std::int64_t layer_ = 0;             ///< clusters before the last one
  std::vector<std::int32_t> begins_;   ///< [k, n] first point of the last cluster
  std::vector<double> before_, best_;  ///< of a layer less, and of this one
};

/// Neighbours together, `at_once` of them.
LinePoints coarser(const LinePoints& points, std::int64_t at_once) {
  LinePoints out;
  for (std::int64_t begin = 0; begin < points.size(); begin += at_once) {
    double weight = 0;
    double sum = 0;
    for (std::int64_t i = begin; i < std::min(begin + at_once, points.size()); ++i) {
      weight += points.weights[as_index(i)];
      sum += points.weights[as_index(i)] * points.values[as_index(i)];
    }
    out.values.push_back(sum / weight);
    out.weights.push_back(weight);
  }
  return out;
}

}  // namespace

LinePoints line_points(std::span<float> values, std::int64_t most) {
  PHASE0_CHECK(most >= 1);
  std::sort(values.begin(), values.end());
  LinePoints points;
  for (const float value : values) {
    const auto wide = static_cast<double>(value);
    if (!points.values.empty() && points.values.back() == wide) {
      points.weights.back() += 1;
    } else {
      points.values.push_back(wide);
      points.weights.push_back(1);
    }
  }
  return points.size() <= most ? points : coarser(points, core::ceil_div(points.size(), most));
}

std::vector<double> scalar_kmeans(const LinePoints& points, std::int64_t k) {
  PHASE0_CHECK(points.size() >= 1 && points.values.size() == points.weights.size() && k >= 1);
  if (k >= points.size()) return points.values;
  return Layers(RunCosts(points), points.size(), k).centroids();
}

std::int64_t scalar_kmeans_bytes(std::int64_t n_points, std::int64_t k) {
  // Points (a vector may hold twice what it needs), sums, two layers and the begins of all.
  return n_points * (2 * 2 * 8 + 3 * 8 + 2 * 8 + 4 * k) + 4096;
}

}  // namespace phase0::models
