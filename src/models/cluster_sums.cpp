#include "models/cluster_sums.h"

#include <algorithm>
#include <bit>

#include "core/check.h"
#include "linalg/kernels.h"

namespace phase0::models {
namespace {

std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

std::int64_t wrapping_subtract(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

}  // namespace

void ClusterSums::reset(std::vector<const KMeansData*> data) {
  data_ = std::move(data);
  const std::int64_t runs = std::ssize(data_);
  sums_.assign(static_cast<std::size_t>(runs * k_ * d_), 0);
  counts_.assign(static_cast<std::size_t>(runs * k_), 0);
  row_.resize(static_cast<std::size_t>(d_));
}

void ClusterSums::add_row(const float* row, std::int64_t run, std::int64_t cluster) {
  const std::int64_t at = run * k_ + cluster;
  ++counts_[static_cast<std::size_t>(at)];
  const KMeansData& data = data_of(run);
  linalg::kernels().accumulate_fixed(row, data.shift.data(), data.fixed_scale, sums_.data() + at * d_, d_);
}

void ClusterSums::remove_row(const float* row, std::int64_t run, std::int64_t cluster) {
  const std::int64_t at = run * k_ + cluster;
  --counts_[static_cast<std::size_t>(at)];
  std::fill(row_.begin(), row_.end(), 0);
  const KMeansData& data = data_of(run);
  linalg::kernels().accumulate_fixed(row, data.shift.data(), data.fixed_scale, row_.data(), d_);
  std::int64_t* sum = sums_.data() + at * d_;
  std::transform(sum, sum + d_, row_.begin(), sum, wrapping_subtract);
}

void ClusterSums::add(const ClusterSums& other) {
  PHASE0_CHECK(other.sums_.size() == sums_.size());
  std::transform(sums_.begin(), sums_.end(), other.sums_.begin(), sums_.begin(), wrapping_add);
  std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(), wrapping_add);
}

void ClusterSums::add_run(std::int64_t to, const ClusterSums& other, std::int64_t from, bool in_its_place) {
  const auto take = [in_its_place](std::int64_t* into, const std::int64_t* those, std::int64_t n) {
    if (in_its_place) std::fill_n(into, n, 0);
    std::transform(into, into + n, those, into, wrapping_add);
  };
  take(sums_.data() + to * k_ * d_, other.sums_.data() + from * k_ * d_, k_ * d_);
  take(counts_.data() + to * k_, other.counts_.data() + from * k_, k_);
}

ClusterSums ClusterSums::copy_of_run(std::int64_t run) const {
  ClusterSums copy(k_, d_);
  copy.reset({&data_of(run)});
  copy.add_run(0, *this, run, true);
  return copy;
}

std::int64_t ClusterSums::n_empty(std::int64_t run) const {
  return std::count(counts(run), counts(run) + k_, 0);
}

/// Calls `visit(j, sum)` with the sum over the cluster of x_j - shift_j.
template <typename Visit>
void ClusterSums::each_sum(std::int64_t run, std::int64_t cluster, const Visit& visit) const {
  const auto bias = static_cast<std::int64_t>(static_cast<std::uint64_t>(counts(run)[cluster]) *
                                              std::bit_cast<std::uint64_t>(linalg::kFixedMagic));
  const double scale = 1.0 / data_of(run).fixed_scale;
  const std::int64_t* sums = sums_.data() + (run * k_ + cluster) * d_;
  for (std::int64_t j = 0; j < d_; ++j) {
    visit(j, static_cast<double>(wrapping_subtract(sums[j], bias)) * scale);
  }
}

void ClusterSums::mean(std::int64_t run, std::int64_t cluster, float* out) const {
  const auto count = static_cast<double>(counts(run)[cluster]);
  const std::vector<float>& shift = data_of(run).shift;
  each_sum(run, cluster, [&](std::int64_t j, double sum) {
    out[j] = static_cast<float>(static_cast<double>(shift[static_cast<std::size_t>(j)]) + sum / count);
  });
}

/// sum |x - c|^2 = sum |x|^2 - 2 c . (sum of the cluster's x) + n |c|^2, of shifted x and c.
double ClusterSums::inertia(std::int64_t run, const std::vector<float>& centroids) const {
  double inertia = data_of(run).sum_of_squares;
  const std::vector<float>& shift = data_of(run).shift;
  for (std::int64_t c = 0; c < k_; ++c) {
    const auto count = static_cast<double>(counts(run)[c]);
    each_sum(run, c, [&](std::int64_t j, double sum) {
      const double centroid = static_cast<double>(centroids[static_cast<std::size_t>(c * d_ + j)]) -
                              static_cast<double>(shift[static_cast<std::size_t>(j)]);
      inertia += centroid * (count * centroid - 2.0 * sum);
    });
  }
  return std::max(inertia, 0.0);
}

}  // namespace phase0::models
