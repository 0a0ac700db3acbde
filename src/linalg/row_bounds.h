#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace phase0::linalg {

inline constexpr std::int32_t kUnlabelled = -1;  ///< a new row

/// What is remembered of rows between two labellings, a few floats each: the label and, in units of
/// BoundedNearest's own bookkeeping, an upper bound of the distance to its centroid and, for each group of
/// centroids, a lower bound of that to all others. A view.
class RowBounds {
 public:
  RowBounds(float* values, std::int64_t n_groups)
      : values_(values), n_groups_(n_groups), stride_(floats(n_groups)) {}
  /// Of a row.
  static std::int64_t floats(std::int64_t n_groups) { return 2 + n_groups; }

  std::int32_t label(std::int64_t row) const { return std::bit_cast<std::int32_t>(values_[row * stride_]); }
  void set_label(std::int64_t row, std::int32_t label) const {
    values_[row * stride_] = std::bit_cast<float>(label);
  }
  float& upper(std::int64_t row) const { return values_[row * stride_ + 1]; }
  /// [n_groups]
  float* lower(std::int64_t row) const { return values_ + row * stride_ + 2; }
  std::int64_t n_groups() const { return n_groups_; }

 private:
  float* values_;
  std::int64_t n_groups_;
  std::int64_t stride_;
};

/// 16 roundings of float32, relative. A settled row's two bounds meet ten: the paths of the label and the
/// group rounded up, both bounds stored less or plus a path, both read again, and their own last rounding.
inline constexpr float kBoundUlps = 0x1p-20f;

/// Bounds of a distance whose square is `squared` within `error`, also where those are NaN.
inline float upper_bound(float squared, float error) {
  return std::sqrt(std::max(squared + error, 0.0f)) * (1.0f + kBoundUlps);
}
inline float lower_bound(float squared, float error) {
  const float least = squared - error;
  return least > 0.0f ? std::sqrt(least) * (1.0f - kBoundUlps) : 0.0f;
}

}  // namespace phase0::linalg
