#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/feature_source.h"

namespace phase0::models {

/// Mean, variance and range of every column, mergeable (Chan, Golub, LeVeque 1983).
class Moments {
 public:
  explicit Moments(std::int64_t d);
  /// Rows x [n, d]; two passes over the block, so that large offsets cost no digits.
  void add(const float* x, std::int64_t n);
  void merge(const Moments& other);
  void clear();

  std::int64_t n() const { return n_; }
  std::int64_t d() const { return static_cast<std::int64_t>(mean_.size()); }
  const std::vector<double>& mean() const { return mean_; }
  /// Variance of each column with `ddof` taken off the count; 0 where the count does not suffice.
  std::vector<double> variance(std::int64_t ddof) const;
  /// The value that lies farthest from the centre of its column.
  struct Extreme {
    double deviation = 0;  ///< |value - centre|
    std::int64_t column = 0;
    float value = 0;
  };
  Extreme farthest(const std::vector<float>& centre) const;

 private:
  std::int64_t n_ = 0;
  std::vector<double> mean_;
  std::vector<double> m2_;  ///< sum of squared deviations
  std::vector<float> min_;
  std::vector<float> max_;
};

/// Memory of column_moments.
core::ScanNeed moments_need(const data::SourceShape& rows);

/// Moments of a source of plain rows (window 1), in one scan; the same bits for any budget and thread count.
Moments column_moments(const data::FeatureSource& rows, core::Execution& execution, std::string_view task);

}  // namespace phase0::models
