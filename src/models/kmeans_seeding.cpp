#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/check.h"
#include "core/random.h"
#include "data/scan.h"
#include "linalg/fold_nearest.h"
#include "models/kmeans_data.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

std::int64_t local_trials(std::int64_t k) {
  return 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k)));
}

/// Rows that are skipped at once on the way to a drawn one.
constexpr std::int64_t kStride = 256;

double sum_of_stride(const float* values) {
  double sums[4] = {};
  for (std::int64_t i = 0; i < kStride; i += 4) {
    for (std::int64_t l = 0; l < 4; ++l) sums[l] += static_cast<double>(values[i + l]);
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// The row at which the running sum of n distances passes `target`; by rounding it may not, then the last
/// that is not 0.
std::int64_t find_in(const float* distances, std::int64_t n, double target) {
  std::int64_t row = 0;
  for (; n - row > kStride; row += kStride) {
    const double stride = sum_of_stride(distances + row);
    if (target < stride) break;
    target -= stride;
  }
  for (; row < n; ++row) {
    const auto distance = static_cast<double>(distances[row]);
    if (target < distance) return row;
    target -= distance;
  }
  do --row;
  while (row > 0 && !(distances[row] > 0));
  return row;
}

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
    need.fixed_bytes += 4 * (restarts + 1) * k * d;                                // centroids
    need.fixed_bytes += 4 * columns * d + linalg::FoldNearest::bytes(columns, d);  // points
    need.fixed_bytes += 8 * rows.n_blocks() * restarts;                            // sums of a scan
    need.block_bytes += 8 * columns + 4 * block * restarts;  // partial sums; mapped distances
    need.worker_bytes += linalg::FoldNearest::workspace_bytes(columns, d, restarts);
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
    const linalg::FoldNearest fold(points, restarts_, data_.shift);
    block_sums_.assign(static_cast<std::size_t>(data_.rows.n_blocks() * restarts_), 0.0);
    data::scan(
        data_.rows, room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::FeatureBlock& block) {
          float* nearest = nearest_of(b);
          if (c == 0) std::fill_n(nearest, restarts_ * block.n_rows, std::numeric_limits<float>::infinity());
          fold.fold(block.matrix(), block.n_rows, nearest, linalg::FoldNearest::Keep::kLeast,
                    workspaces_[static_cast<std::size_t>(worker)], block_sums_.data() + b * restarts_);
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

  /// The row at which the running sum of restart r's distances passes `target`, as find_in.
  std::int64_t find_row(std::int64_t r, double target) {
    std::int64_t block = 0;
    std::int64_t last_positive = 0;
    for (; block < data_.rows.n_blocks(); ++block) {
      if (block_sum(block, r) > 0) last_positive = block;
      if (target < block_sum(block, r)) break;
      target -= block_sum(block, r);
    }
    block = std::min(block, data_.rows.n_blocks() - 1);
    if (!(block_sum(block, r) > 0)) block = last_positive;
    const std::int64_t n = data_.rows.block_size(block);
    const std::int64_t found = find_in(nearest_of(block) + r * n, n, target);
    release_nearest(block, 1);
    return data_.rows.block_first(block) + found;
  }

  /// Of each restart's candidates the one that leaves the least sum of squared distances.
  std::vector<std::int64_t> best_trials(const std::vector<std::int64_t>& candidates) {
    const linalg::FoldNearest fold(values_of(candidates), restarts_, data_.shift);
    const std::int64_t columns = restarts_ * trials_;
    std::vector<double> partial(static_cast<std::size_t>(room_.slots() * columns));
    std::vector<double> potential(static_cast<std::size_t>(columns), 0.0);
    data::scan(
        data_.rows, room_, "",
        [&](std::int64_t b, std::int64_t slot, int worker, const data::FeatureBlock& block) {
          fold.fold(block.matrix(), block.n_rows, nearest_of(b), linalg::FoldNearest::Keep::kNone,
                    workspaces_[static_cast<std::size_t>(worker)], partial.data() + slot * columns);
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

  /// [restarts, rows] of a block.
  float* nearest_of(std::int64_t block) {
    return nearest_.mutable_data<float>() + data_.rows.block_first(block) * restarts_;
  }
  void release_nearest(std::int64_t first_block, std::int64_t n) const {
    if (room_.slots() >= data_.rows.n_blocks()) return;  // there is room for all of them
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
  store::MappedDataset
      nearest_;  ///< squared distances to the nearest centroid so far, block by block [restarts, rows]
  std::vector<linalg::FoldNearest::Workspace> workspaces_;
  std::vector<core::Random> random_;
  std::vector<float> centroids_;
  std::vector<double> block_sums_;  ///< [n_blocks, restarts]
};

}  // namespace

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
