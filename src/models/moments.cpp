#include "models/moments.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/check.h"
#include "data/scan.h"

namespace phase0::models {

Moments::Moments(std::int64_t d)
    : mean_(static_cast<std::size_t>(d)),
      m2_(static_cast<std::size_t>(d)),
      min_(static_cast<std::size_t>(d)),
      max_(static_cast<std::size_t>(d)) {
  clear();
}

void Moments::clear() {
  n_ = 0;
  std::fill(mean_.begin(), mean_.end(), 0.0);
  std::fill(m2_.begin(), m2_.end(), 0.0);
  std::fill(min_.begin(), min_.end(), std::numeric_limits<float>::infinity());
  std::fill(max_.begin(), max_.end(), -std::numeric_limits<float>::infinity());
}

void Moments::add(const float* x, std::int64_t n) {
  if (n == 0) return;
  Moments block(d());
  block.n_ = n;
  const std::size_t d = mean_.size();
  for (std::int64_t r = 0; r < n; ++r) {
    const float* row = x + r * this->d();
    for (std::size_t j = 0; j < d; ++j) {
      block.mean_[j] += static_cast<double>(row[j]);
      block.min_[j] = std::min(block.min_[j], row[j]);
      block.max_[j] = std::max(block.max_[j], row[j]);
    }
  }
  for (double& mean : block.mean_) mean /= static_cast<double>(n);
  for (std::int64_t r = 0; r < n; ++r) {
    const float* row = x + r * this->d();
    for (std::size_t j = 0; j < d; ++j) {
      const double deviation = static_cast<double>(row[j]) - block.mean_[j];
      block.m2_[j] += deviation * deviation;
    }
  }
  merge(block);
}

void Moments::merge(const Moments& other) {
  PHASE0_CHECK(other.d() == d());
  if (other.n_ == 0) return;
  const auto mine = static_cast<double>(n_);
  const auto theirs = static_cast<double>(other.n_);
  const double total = mine + theirs;
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    const double difference = other.mean_[j] - mean_[j];
    mean_[j] = n_ == 0 ? other.mean_[j] : mean_[j] + difference * (theirs / total);
    m2_[j] += other.m2_[j] + (n_ == 0 ? 0.0 : difference * difference * (mine * theirs / total));
    min_[j] = std::min(min_[j], other.min_[j]);
    max_[j] = std::max(max_[j], other.max_[j]);
  }
  n_ += other.n_;
}

std::vector<double> Moments::variance(std::int64_t ddof) const {
  std::vector<double> variance(m2_.size(), 0.0);
  if (n_ <= ddof) return variance;
  for (std::size_t j = 0; j < m2_.size(); ++j) variance[j] = m2_[j] / static_cast<double>(n_ - ddof);
  return variance;
}

Moments::Extreme Moments::farthest(const std::vector<float>& centre) const {
  Extreme farthest;
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    for (const float value : {min_[j], max_[j]}) {
      const double deviation = std::abs(static_cast<double>(value) - static_cast<double>(centre[j]));
      if (deviation > farthest.deviation) farthest = {deviation, static_cast<std::int64_t>(j), value};
    }
  }
  return farthest;
}

core::ScanNeed moments_need(const data::SourceShape& rows) {
  constexpr std::int64_t kColumnBytes = 2 * sizeof(double) + 2 * sizeof(float);
  core::ScanNeed need = data::scan_need(rows);
  need.fixed_bytes += 2 * kColumnBytes * rows.frame_dim;
  need.block_bytes += kColumnBytes * rows.frame_dim;
  need.worker_bytes += kColumnBytes * rows.frame_dim;
  return need;
}

Moments column_moments(const data::FeatureSource& rows, core::Execution& execution, std::string_view task) {
  PHASE0_CHECK(rows.window() == 1);
  const data::SourceShape shape = rows.shape();
  data::ScanRoom room(execution, moments_need(shape), "moments", shape);
  std::vector<Moments> partial(static_cast<std::size_t>(room.slots()), Moments(rows.frame_dim()));
  Moments total(rows.frame_dim());
  data::scan(
      rows, room, task,
      [&](std::int64_t, std::int64_t slot, int, const data::FeatureBlock& block) {
        Moments& moments = partial[static_cast<std::size_t>(slot)];
        moments.clear();
        moments.add(block.matrix(), block.n_rows);
      },
      [&](std::int64_t, std::int64_t n) {
        for (std::int64_t slot = 0; slot < n; ++slot) total.merge(partial[static_cast<std::size_t>(slot)]);
      });
  return total;
}

}  // namespace phase0::models
