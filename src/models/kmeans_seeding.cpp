#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/random.h"
#include "data/scan.h"
#include "linalg/fold_nearest.h"
#include "models/kmeans_data.h"
#include "models/weighted_draw.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

std::int64_t local_trials(std::int64_t k) {
  return 2 + static_cast<std::int64_t>(std::log(static_cast<double>(k)));
}

/// Of candidates' distances that are kept until one of them is chosen. Longer ones are computed again, to the
/// same bits.
constexpr std::int64_t kMostKeptBytes = std::int64_t{16} << 20;

class Seeding {
 public:
  Seeding(const data::FeatureSource& rows, std::span<const SeedingLane> lanes, std::int64_t k,
          const std::string& scratch_folder, core::Execution& execution)
      : rows_(rows),
        execution_(execution),
        k_(k),
        trials_(local_trials(k)),
        d_(rows.frame_dim()),
        n_rows_(rows.lane_rows()) {
    PHASE0_CHECK(rows.lanes() == std::ssize(lanes) && k >= 1 && k <= n_rows_);
    for (const SeedingLane& lane : lanes) {
      lanes_.push_back({&lane.data, n_runs(), std::ssize(lane.runs)});
      for (SeedingRun& steps : lane.runs) runs_.push_back({&lane.data, &steps});
    }
    go_on_or_begin(lanes);
    room_.emplace(execution, need(rows.shape(), k, n_runs()), "k-means seeding", rows.shape());
    kept_.resize(kept_bytes(n_rows_, columns()) / 4);
    workspaces_.resize(static_cast<std::size_t>(room_->workers()));
    nearest_ = store::scratch_matrix(scratch_folder, store::ElementType::kFloat32, n_rows_, n_runs());
    centroids_.resize(static_cast<std::size_t>(n_runs() * k * d_));
  }

  /// Of all that is held below, and of a result of earlier restarts that is kept beside it.
  static core::ScanNeed need(const data::SourceShape& rows, std::int64_t k, std::int64_t restarts) {
    const std::int64_t d = rows.frame_dim;
    const std::int64_t block = std::min(rows.block_rows, rows.n_rows) / rows.lanes;
    const std::int64_t columns = restarts * local_trials(k);
    core::ScanNeed need = data::scan_need(rows);
    need.fixed_bytes += 4 * (restarts + 1) * k * d;                                             // centroids
    need.fixed_bytes += 4 * columns * d + rows.lanes * linalg::FoldNearest::bytes(columns, d);  // points
    need.fixed_bytes += 8 * rows.n_blocks() * restarts;  // sums of a scan
    need.block_bytes += 4 * block * restarts;            // mapped distances
    need.fixed_bytes += kept_bytes(rows.n_rows / rows.lanes, columns) + 8 * rows.n_blocks() * columns;
    need.worker_bytes += linalg::FoldNearest::workspace_bytes(columns, d, columns);
    return need;
  }

  std::vector<float> run(const std::string& label, const std::function<void()>& chosen) {
    const core::TaskScope scope(execution_.observer, label + ": seeding", k_);
    if (n_chosen() == 0) {
      for (Run& run : runs_) {
        const std::int64_t row = any_row(run);
        run.steps->push_back({row, run.random});
      }
      chosen();
    }
    for (std::int64_t c = 0; c < n_chosen(); ++c) take_values(c);
    execution_.observer.task_advance(n_chosen(), 0);
    while (n_chosen() < k_) {
      while (n_folded_ < n_chosen()) update_nearest(std::min(n_chosen(), n_folded_ + trials_));
      const std::vector<std::int64_t> candidates = sample_candidates();
      const std::vector<std::int64_t> best = best_trials(candidates);
      if (keeps()) take_over(best);
      for (std::int64_t r = 0; r < n_runs(); ++r) {
        const std::int64_t column = best[static_cast<std::size_t>(r)];
        run_of(r).steps->push_back({candidates[static_cast<std::size_t>(column)], run_of(r).random});
      }
      take_values(n_chosen() - 1);
      execution_.observer.task_advance(1, n_rows_ * d_ * 4);
      chosen();
    }
    nearest_.check_write_back();
    return std::move(centroids_);
  }

 private:
  struct Run {
    const KMeansData* data = nullptr;
    SeedingRun* steps = nullptr;
    core::Random random{0};
  };
  /// Consecutive runs on the same data.
  struct Lane {
    const KMeansData* data = nullptr;
    std::int64_t first_run = 0;
    std::int64_t n_runs = 0;
  };

  static std::int64_t kept_bytes(std::int64_t n_rows, std::int64_t columns) {
    const std::int64_t bytes = 4 * n_rows * columns;
    return bytes <= kMostKeptBytes ? bytes : 0;
  }
  bool keeps() const { return kept_.size() > 0; }
  std::int64_t n_runs() const { return std::ssize(runs_); }
  std::int64_t columns() const { return n_runs() * trials_; }
  Run& run_of(std::int64_t r) { return runs_[static_cast<std::size_t>(r)]; }
  /// By each run.
  std::int64_t n_chosen() const { return std::ssize(*runs_[0].steps); }
  /// Steps of a kept run that are of these rows.
  std::size_t n_usable(const SeedingRun& steps) const {
    const auto there = [this](const SeedingStep& step) { return step.row >= 0 && step.row < n_rows_; };
    return static_cast<std::size_t>(std::find_if_not(steps.begin(), steps.end(), there) - steps.begin());
  }
  /// Lanes are kept one after the other, so one may have come further than another.
  void go_on_or_begin(std::span<const SeedingLane> lanes) {
    std::size_t common = static_cast<std::size_t>(k_);
    for (const Run& run : runs_) common = std::min(common, n_usable(*run.steps));
    for (Run& run : runs_) run.steps->resize(common);
    auto run = runs_.begin();
    for (const SeedingLane& lane : lanes) {
      for (std::size_t r = 0; r < lane.runs.size(); ++r, ++run) {
        const auto number = static_cast<std::uint64_t>(lane.first_restart) + r;
        run->random = common > 0 ? run->steps->back().random
                                 : core::Random(core::derive_seed(lane.seed, "k-means++", number));
      }
    }
  }
  std::int64_t any_row(Run& run) const {
    return static_cast<std::int64_t>(run.random.below(static_cast<std::uint64_t>(n_rows_)));
  }

  /// Rows that were chosen by the runs, as many by each.
  std::vector<float> values_of(const std::vector<std::int64_t>& chosen) {
    std::vector<float> values(chosen.size() * static_cast<std::size_t>(d_));
    const std::int64_t of_run = std::ssize(chosen) / n_runs();
    data::FeatureBlock block;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      run_of(static_cast<std::int64_t>(i) / of_run).data->rows.load(chosen[i], 1, block);
      std::memcpy(values.data() + i * static_cast<std::size_t>(d_), block.matrix(),
                  static_cast<std::size_t>(d_) * 4);
    }
    return values;
  }

  /// Centroid c of every run.
  void take_values(std::int64_t c) {
    std::vector<std::int64_t> chosen;
    for (const Run& run : runs_) chosen.push_back((*run.steps)[static_cast<std::size_t>(c)].row);
    const std::vector<float> values = values_of(chosen);
    for (std::int64_t r = 0; r < n_runs(); ++r) {
      std::copy_n(values.begin() + r * d_, d_, centroids_.begin() + (r * k_ + c) * d_);
    }
  }

  /// Of each lane, for points [runs, n, d]: `sets` of them for each run.
  std::vector<linalg::FoldNearest> folds(std::span<const float> points, std::int64_t n,
                                         std::int64_t sets) const {
    std::vector<linalg::FoldNearest> folds;
    for (const Lane& lane : lanes_) {
      const auto of_lane = static_cast<std::size_t>(lane.n_runs * n * d_);
      folds.emplace_back(points.first(of_lane), lane.n_runs * sets, lane.data->shift);
      points = points.subspan(of_lane);
    }
    return folds;
  }

  /// Folds every lane of a block into the distances [runs, sets, rows] at `nearest`. Of each run n sums are
  /// added at `sums`.
  void fold_block(const std::vector<linalg::FoldNearest>& folds, std::int64_t n, std::int64_t b, int worker,
                  const data::FeatureBlock& block, float* nearest, std::int64_t sets,
                  linalg::FoldNearest::Keep keep, double* sums) {
    const std::int64_t rows = rows_.lane_size(b);
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const Lane& lane = lanes_[i];
      folds[i].fold(block.matrix() + static_cast<std::int64_t>(i) * rows * d_, rows,
                    nearest + lane.first_run * sets * rows, keep,
                    workspaces_[static_cast<std::size_t>(worker)], sums + lane.first_run * n);
    }
  }

  /// Centroid c of every run, as points that rows may get as their nearest.
  std::vector<linalg::FoldNearest> folds_of_centroid(std::int64_t c) const {
    std::vector<float> points;
    for (std::int64_t r = 0; r < n_runs(); ++r) {
      const auto from = centroids_.begin() + (r * k_ + c) * d_;
      points.insert(points.end(), from, from + d_);
    }
    return folds(points, 1, 1);
  }

  /// Folds centroids [n_folded_, end) into every row's distance to its nearest centroid, one after the other
  /// as when they were chosen; sums the distances per block.
  void update_nearest(std::int64_t end) {
    std::vector<std::vector<linalg::FoldNearest>> centroids;
    for (std::int64_t c = n_folded_; c < end; ++c) centroids.push_back(folds_of_centroid(c));
    block_sums_.resize(static_cast<std::size_t>(rows_.n_blocks() * n_runs()));
    data::scan(
        rows_, *room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::FeatureBlock& block) {
          if (n_folded_ == 0) {
            std::fill_n(nearest_of(b), n_runs() * rows_.lane_size(b), std::numeric_limits<float>::infinity());
          }
          for (const auto& fold : centroids) {
            fold_block(fold, 1, b, worker, block, nearest_of(b), 1, linalg::FoldNearest::Keep::kLeast,
                       block_sums_.data() + b * n_runs());
          }
        },
        [&](std::int64_t first, std::int64_t n) { release_nearest(first, n); });
    n_folded_ = end;
  }

  /// `trials_` rows per run, drawn with probability proportional to the squared distance; uniform when all
  /// are 0.
  std::vector<std::int64_t> sample_candidates() {
    std::vector<std::int64_t> candidates;
    for (std::int64_t r = 0; r < n_runs(); ++r) {
      double total = 0;
      for (std::int64_t b = 0; b < rows_.n_blocks(); ++b) total += block_sum(b, r);
      for (std::int64_t t = 0; t < trials_; ++t) {
        candidates.push_back(total > 0 ? find_row(r, run_of(r).random.uniform() * total)
                                       : any_row(run_of(r)));
      }
    }
    return candidates;
  }

  double block_sum(std::int64_t block, std::int64_t r) const {
    return block_sums_[static_cast<std::size_t>(block * n_runs() + r)];
  }

  /// The row at which the running sum of run r's distances passes `target`, as drawn_row.
  std::int64_t find_row(std::int64_t r, double target) {
    std::int64_t block = 0;
    std::int64_t last_positive = 0;
    for (; block < rows_.n_blocks(); ++block) {
      if (block_sum(block, r) > 0) last_positive = block;
      if (target < block_sum(block, r)) break;
      target -= block_sum(block, r);
    }
    block = std::min(block, rows_.n_blocks() - 1);
    if (!(block_sum(block, r) > 0)) block = last_positive;
    const std::int64_t found =
        drawn_row(nearest_of(block) + r * rows_.lane_size(block), rows_.lane_size(block), target);
    release_nearest(block, 1);
    return rows_.lane_first(block) + found;
  }

  /// Of each run's candidates the one that leaves the least sum of squared distances, by its column.
  std::vector<std::int64_t> best_trials(const std::vector<std::int64_t>& candidates) {
    using Keep = linalg::FoldNearest::Keep;
    const std::int64_t sets = keeps() ? trials_ : 1;
    const auto fold = folds(values_of(candidates), trials_, sets);
    trial_sums_.resize(static_cast<std::size_t>(rows_.n_blocks() * columns()));
    data::scan(
        rows_, *room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::FeatureBlock& block) {
          float* nearest = keeps() ? copies_of(b) : nearest_of(b);
          fold_block(fold, trials_, b, worker, block, nearest, sets, keeps() ? Keep::kLeast : Keep::kNone,
                     trial_sums_.data() + b * columns());
        },
        [&](std::int64_t first, std::int64_t n) { release_nearest(first, n); });
    std::vector<double> potential(static_cast<std::size_t>(columns()), 0.0);
    for (std::size_t i = 0; i < trial_sums_.size(); ++i) potential[i % potential.size()] += trial_sums_[i];
    std::vector<std::int64_t> best;
    for (std::int64_t r = 0; r < n_runs(); ++r) {
      const auto begin = potential.begin() + r * trials_;
      best.push_back(std::min_element(begin, begin + trials_) - potential.begin());
    }
    return best;
  }

  /// [columns, rows] of a block in kept_, each with its run's distances.
  float* copies_of(std::int64_t block) {
    const std::int64_t rows = rows_.lane_size(block);
    float* const kept = kept_.data() + rows_.lane_first(block) * columns();
    for (std::int64_t column = 0; column < columns(); ++column) {
      std::copy_n(nearest_of(block) + column / trials_ * rows, rows, kept + column * rows);
    }
    return kept;
  }

  /// The distances, and their sums, that the chosen candidates have left.
  void take_over(const std::vector<std::int64_t>& chosen) {
    for (std::int64_t b = 0; b < rows_.n_blocks(); ++b) {
      const std::int64_t rows = rows_.lane_size(b);
      const float* kept = kept_.data() + rows_.lane_first(b) * columns();
      for (std::int64_t r = 0; r < n_runs(); ++r) {
        const std::int64_t column = chosen[static_cast<std::size_t>(r)];
        std::copy_n(kept + column * rows, rows, nearest_of(b) + r * rows);
        block_sums_[static_cast<std::size_t>(b * n_runs() + r)] =
            trial_sums_[static_cast<std::size_t>(b * columns() + column)];
      }
    }
    ++n_folded_;
  }

  /// [runs, rows] of a block.
  float* nearest_of(std::int64_t block) {
    return nearest_.mutable_data<float>() + rows_.lane_first(block) * n_runs();
  }
  void release_nearest(std::int64_t first_block, std::int64_t n) const {
    if (room_->slots() >= rows_.n_blocks()) return;  // there is room for all of them
    const std::int64_t first = rows_.lane_first(first_block);
    nearest_.release(first, std::min(n * rows_.block_rows() / rows_.lanes(), n_rows_ - first));
  }

  const data::FeatureSource& rows_;
  core::Execution& execution_;
  std::int64_t k_;
  std::int64_t trials_;
  std::int64_t d_;
  std::int64_t n_rows_;  ///< of each lane
  std::vector<Lane> lanes_;
  std::vector<Run> runs_;  ///< lane by lane
  std::optional<data::ScanRoom> room_;
  store::MappedDataset
      nearest_;  ///< squared distances to the nearest centroid so far, block by block [runs, rows]
  std::vector<linalg::FoldNearest::Workspace> workspaces_;
  std::vector<float> centroids_;
  std::int64_t n_folded_ = 0;        ///< centroids of each run that nearest_ and block_sums_ know
  std::vector<double> block_sums_;   ///< [n_blocks, runs]
  std::vector<double> trial_sums_;   ///< [n_blocks, columns]
  core::AlignedBuffer<float> kept_;  ///< block by block [columns, rows], or empty
};

}  // namespace

core::ScanNeed seeding_need(const data::SourceShape& rows, std::int64_t k, std::int64_t restarts) {
  return Seeding::need(rows, k, restarts);
}

std::vector<float> seed_kmeans(const data::FeatureSource& rows, std::span<const SeedingLane> lanes,
                               std::int64_t k, const std::string& scratch_folder, core::Execution& execution,
                               const std::string& label, const std::function<void()>& chosen) {
  return Seeding(rows, lanes, k, scratch_folder, execution).run(label, chosen);
}

}  // namespace phase0::models
