#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/random.h"
#include "data/scan.h"
#include "linalg/blas.h"
#include "linalg/kernels.h"
#include "models/kmeans_data.h"
#include "models/moments.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

std::int64_t local_trials(std::int64_t k) {
  return 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k)));
}

/// Squared distances of a block's rows to a few points, in float32 on shifted values: good enough for
/// sampling.
class PointDistances {
 public:
  PointDistances(const KMeansData& data, const std::vector<float>& points)
      : d_(data.rows.frame_dim()), data_(data) {
    n_points_ = std::ssize(points) / d_;
    shifted_.resize(std::ssize(points));
    norms_.resize(n_points_);
    linalg::kernels().shift_and_norms(points.data(), data.shift.data(), shifted_.data(), norms_.data(),
                                      n_points_, d_);
  }

  struct Workspace {
    core::AlignedBuffer<float> shifted, norms, products;
  };

  /// out(row, point) through the workspace: products become distances in place, [n, n_points].
  const float* compute(const float* rows, std::int64_t n, Workspace& workspace) const {
    workspace.shifted.resize(n * d_);
    workspace.norms.resize(n);
    workspace.products.resize(n * n_points_);
    linalg::kernels().shift_and_norms(rows, data_.shift.data(), workspace.shifted.data(),
                                      workspace.norms.data(), n, d_);
    linalg::multiply_abt(n, n_points_, d_, workspace.shifted.data(), d_, shifted_.data(), d_,
                         workspace.products.data(), n_points_);
    for (std::int64_t r = 0; r < n; ++r) {
      float* products = workspace.products.data() + r * n_points_;
      const float norm = workspace.norms[r];
      for (std::int64_t p = 0; p < n_points_; ++p) {
        const float squared = norm + norms_[p] - 2.0f * products[p];
        products[p] = squared > 0.0f ? squared : 0.0f;
      }
    }
    return workspace.products.data();
  }

 private:
  std::int64_t d_;
  const KMeansData& data_;
  std::int64_t n_points_ = 0;
  core::AlignedBuffer<float> shifted_;
  core::AlignedBuffer<float> norms_;
};

class Seeding {
 public:
  Seeding(const KMeansData& data, std::int64_t k, std::int64_t first_restart, std::int64_t restarts,
          std::uint64_t seed, const std::string& scratch_folder, core::Execution& execution)
      : data_(data),
        execution_(execution),
        k_(k),
        restarts_(restarts),
        trials_(local_trials(k)),
        d_(data.rows.frame_dim()),
        room_(execution, need(data.rows.shape(), k, restarts), "k-means seeding", data.rows.shape()),
        nearest_(store::scratch_matrix(scratch_folder, store::ElementType::kFloat32, data.rows.n_rows(),
                                       restarts)),
        workspaces_(static_cast<std::size_t>(room_.workers())),
        centroids_(static_cast<std::size_t>(restarts * k * d_)) {
    for (std::int64_t r = 0; r < restarts; ++r) {
      random_.emplace_back(
          core::derive_seed(seed, "k-means++", static_cast<std::uint64_t>(first_restart + r)));
    }
  }

  /// Of all that is held below, and of a result of earlier restarts that is kept beside it.
  static core::ScanNeed need(const data::SourceShape& rows, std::int64_t k, std::int64_t restarts) {
    const std::int64_t d = rows.frame_dim;
    const std::int64_t block = std::min(rows.block_rows, rows.n_rows);
    const std::int64_t columns = restarts * local_trials(k);
    core::ScanNeed need = data::scan_need(rows);
    need.fixed_bytes += 4 * (restarts + 1) * k * d;          // centroids
    need.fixed_bytes += 4 * 3 * columns * d;                 // points, those they grew from, and shifted
    need.fixed_bytes += 8 * rows.n_blocks() * restarts;      // sums of a scan
    need.block_bytes += 8 * columns + 4 * block * restarts;  // partial sums; mapped distances
    need.worker_bytes += 4 * block * (d + 1 + columns) + linalg::kBlasThreadBytes;
    return need;
  }

  std::vector<float> run(const std::string& label) {
    const core::TaskScope scope(execution_.observer, label + ": seeding", k_);
    std::vector<std::int64_t> first;
    for (auto& random : random_) first.push_back(static_cast<std::int64_t>(random.below(rows())));
    choose(0, first);
    execution_.observer.task_advance(1, 0);
    for (std::int64_t c = 1; c < k_; ++c) {
      update_nearest(c - 1);
      choose(c, best_trials(sample_candidates()));
      execution_.observer.task_advance(1, data_.rows.n_rows() * d_ * 4);
    }
    return std::move(centroids_);
  }

 private:
  std::uint64_t rows() const { return static_cast<std::uint64_t>(data_.rows.n_rows()); }

  std::vector<float> values_of(const std::vector<std::int64_t>& chosen) const {
    std::vector<float> values(chosen.size() * static_cast<std::size_t>(d_));
    data::FeatureBlock block;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      data_.rows.load(chosen[i], 1, block);
      std::memcpy(values.data() + i * static_cast<std::size_t>(d_), block.matrix(),
                  static_cast<std::size_t>(d_) * 4);
    }
    return values;
  }

  /// Row chosen[r] becomes centroid c of restart r.
  void choose(std::int64_t c, const std::vector<std::int64_t>& chosen) {
    const std::vector<float> values = values_of(chosen);
    for (std::int64_t r = 0; r < restarts_; ++r) {
      std::copy_n(values.begin() + r * d_, d_, centroids_.begin() + (r * k_ + c) * d_);
    }
  }

  /// Folds centroid c into every row's distance to its nearest centroid; sums them per block.
  void update_nearest(std::int64_t c) {
    std::vector<float> points;
    for (std::int64_t r = 0; r < restarts_; ++r) {
      const auto from = centroids_.begin() + (r * k_ + c) * d_;
      points.insert(points.end(), from, from + d_);
    }
    const PointDistances distances(data_, points);
    block_sums_.assign(static_cast<std::size_t>(data_.rows.n_blocks() * restarts_), 0.0);
    data::scan(
        data_.rows, room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::FeatureBlock& block) {
          const float* squared =
              distances.compute(block.matrix(), block.n_rows, workspaces_[static_cast<std::size_t>(worker)]);
          float* nearest = nearest_.mutable_data<float>() + block.first_row * restarts_;
          double* sums = block_sums_.data() + b * restarts_;
          std::fill_n(sums, restarts_, 0.0);
          for (std::int64_t i = 0; i < block.n_rows; ++i) {
            for (std::int64_t r = 0; r < restarts_; ++r) {
              float& least = nearest[i * restarts_ + r];
              const float distance = squared[i * restarts_ + r];
              if (c == 0 || distance < least) least = distance;
              sums[r] += static_cast<double>(least);
            }
          }
        },
        [&](std::int64_t first, std::int64_t n) { release_nearest(first, n); });
  }

  /// `trials_` rows per restart, drawn with probability proportional to the squared distance; uniform when
  /// all are 0.
  std::vector<std::int64_t> sample_candidates() {
    std::vector<std::int64_t> candidates;
    for (std::int64_t r = 0; r < restarts_; ++r) {
      double total = 0;
      for (std::int64_t b = 0; b < data_.rows.n_blocks(); ++b) total += block_sum(b, r);
      for (std::int64_t t = 0; t < trials_; ++t) {
        auto& random = random_[static_cast<std::size_t>(r)];
        candidates.push_back(total > 0 ? find_row(r, random.uniform() * total)
                                       : static_cast<std::int64_t>(random.below(rows())));
      }
    }
    return candidates;
  }

  double block_sum(std::int64_t block, std::int64_t r) const {
    return block_sums_[static_cast<std::size_t>(block * restarts_ + r)];
  }

  std::int64_t find_row(std::int64_t r, double target) const {
    std::int64_t block = 0;
    std::int64_t last_positive = 0;
    for (; block < data_.rows.n_blocks(); ++block) {
      if (block_sum(block, r) > 0) last_positive = block;
      if (target < block_sum(block, r)) break;
      target -= block_sum(block, r);
    }
    block = std::min(block, data_.rows.n_blocks() - 1);
    if (!(block_sum(block, r) > 0)) block = last_positive;
    const std::int64_t first = data_.rows.block_first(block);
    const float* nearest = nearest_.data<float>() + first * restarts_;
    std::int64_t found = 0;
    for (std::int64_t i = 0; i < data_.rows.block_size(block); ++i) {
      const auto weight = static_cast<double>(nearest[i * restarts_ + r]);
      if (weight > 0) found = i;
      if (target < weight) break;
      target -= weight;
    }
    release_nearest(block, 1);
    return first + found;
  }

  /// Of each restart's candidates the one that leaves the least sum of squared distances.
  std::vector<std::int64_t> best_trials(const std::vector<std::int64_t>& candidates) {
    const PointDistances distances(data_, values_of(candidates));
    const std::int64_t columns = restarts_ * trials_;
    std::vector<double> partial(static_cast<std::size_t>(room_.slots() * columns));
    std::vector<double> potential(static_cast<std::size_t>(columns), 0.0);
    data::scan(
        data_.rows, room_, "",
        [&](std::int64_t, std::int64_t slot, int worker, const data::FeatureBlock& block) {
          const float* squared =
              distances.compute(block.matrix(), block.n_rows, workspaces_[static_cast<std::size_t>(worker)]);
          const float* nearest = nearest_.data<float>() + block.first_row * restarts_;
          double* sums = partial.data() + slot * columns;
          std::fill_n(sums, columns, 0.0);
          for (std::int64_t i = 0; i < block.n_rows; ++i) {
            for (std::int64_t r = 0; r < restarts_; ++r) {
              const float least = nearest[i * restarts_ + r];
              for (std::int64_t t = r * trials_; t < (r + 1) * trials_; ++t) {
                const float distance = squared[i * columns + t];
                sums[t] += static_cast<double>(distance < least ? distance : least);
              }
            }
          }
        },
        [&](std::int64_t first, std::int64_t n) {
          for (std::int64_t slot = 0; slot < n; ++slot) {
            for (std::int64_t t = 0; t < columns; ++t)
              potential[static_cast<std::size_t>(t)] += partial[static_cast<std::size_t>(slot * columns + t)];
          }
          release_nearest(first, n);
        });
    std::vector<std::int64_t> best;
    for (std::int64_t r = 0; r < restarts_; ++r) {
      const auto begin = potential.begin() + r * trials_;
      best.push_back(
          candidates[static_cast<std::size_t>(std::min_element(begin, begin + trials_) - potential.begin())]);
    }
    return best;
  }

  void release_nearest(std::int64_t first_block, std::int64_t n) const {
    const std::int64_t first = data_.rows.block_first(first_block);
    nearest_.release(first, std::min(n * data_.rows.block_rows(), data_.rows.n_rows() - first));
  }

  const KMeansData& data_;
  core::Execution& execution_;
  std::int64_t k_;
  std::int64_t restarts_;
  std::int64_t trials_;
  std::int64_t d_;
  data::ScanRoom room_;
  store::MappedDataset nearest_;  ///< [N, restarts] squared distance to the nearest centroid so far
  std::vector<PointDistances::Workspace> workspaces_;
  std::vector<core::Random> random_;
  std::vector<float> centroids_;
  std::vector<double> block_sums_;  ///< [n_blocks, restarts]
};

}  // namespace

KMeansData prepare_kmeans(const data::FeatureSource& rows, core::Execution& execution,
                          const std::string& label) {
  const Moments moments = column_moments(rows, execution, label + ": moments");
  KMeansData data{rows, {}, 0, 0, 1};
  const std::vector<double> means = moments.mean();
  for (const double mean : means) data.shift.push_back(static_cast<float>(mean));
  for (const double variance : moments.variance(0)) data.mean_variance += variance;
  const auto n_rows = static_cast<double>(rows.n_rows());
  data.sum_of_squares = data.mean_variance * n_rows;
  for (std::size_t j = 0; j < means.size(); ++j) {
    const double rounding = means[j] - static_cast<double>(data.shift[j]);
    data.sum_of_squares += n_rows * rounding * rounding;
  }
  data.mean_variance /= static_cast<double>(rows.frame_dim());
  // The largest power of two for which a row's value stays under 2^50 and the sum over all rows under 2^62.
  const double largest = std::max(moments.largest_deviation(data.shift), 1e-300);
  const double headroom = std::min(50.0, 62.0 - std::ceil(std::log2(static_cast<double>(rows.n_rows()) + 1)));
  const int exponent = static_cast<int>(headroom) - static_cast<int>(std::ceil(std::log2(largest))) - 1;
  data.fixed_scale = std::ldexp(1.0, std::clamp(exponent, -1000, 1000));
  return data;
}

core::ScanNeed seeding_need(const data::SourceShape& rows, std::int64_t k, std::int64_t restarts) {
  return Seeding::need(rows, k, restarts);
}

std::vector<float> seed_kmeans(const KMeansData& data, std::int64_t k, std::int64_t first_restart,
                               std::int64_t restarts, std::uint64_t seed, const std::string& scratch_folder,
                               core::Execution& execution, const std::string& label) {
  PHASE0_CHECK(k >= 1 && k <= data.rows.n_rows() && restarts >= 1);
  return Seeding(data, k, first_restart, restarts, seed, scratch_folder, execution).run(label);
}

}  // namespace phase0::models
