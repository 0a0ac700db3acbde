#include "models/kmeans_lloyd.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "data/scan.h"
#include "linalg/blas.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"

namespace phase0::models {
namespace {

/// Sums of the rows of each cluster of each run, as wrapping 64-bit integers: exact, so any order gives the
/// same bits.
struct Totals {
  std::vector<std::int64_t> sums;    ///< [runs, k, d], each value biased by count x bits(kFixedMagic)
  std::vector<std::int64_t> counts;  ///< [runs, k]

  static std::int64_t bytes(std::int64_t runs, std::int64_t k, std::int64_t d) {
    return 8 * runs * k * (d + 1);
  }
  void reset(std::int64_t runs, std::int64_t k, std::int64_t d) {
    sums.assign(static_cast<std::size_t>(runs * k * d), 0);
    counts.assign(static_cast<std::size_t>(runs * k), 0);
  }
  void add(const Totals& other) {
    const auto wrapping_add = [](std::int64_t a, std::int64_t b) {
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    };
    std::transform(sums.begin(), sums.end(), other.sums.begin(), sums.begin(), wrapping_add);
    std::transform(counts.begin(), counts.end(), other.counts.begin(), counts.begin(), wrapping_add);
  }
};

/// A row that an empty cluster may be moved to.
struct FarRow {
  double squared = 0;
  std::int64_t row = 0;
  std::int32_t label = 0;
};
bool farther(const FarRow& a, const FarRow& b) {
  return a.squared != b.squared ? a.squared > b.squared : a.row < b.row;
}

class Lloyd {
 public:
  Lloyd(const KMeansData& data, std::int64_t k, const KMeansOptions& options, const std::string& phase,
        std::vector<LloydRun>& runs, core::Execution& execution)
      : data_(data),
        k_(k),
        d_(data.rows.frame_dim()),
        options_(options),
        phase_(phase),
        runs_(runs),
        execution_(execution),
        room_(execution, need(data.rows.shape(), k, std::ssize(runs)), "k-means", data.rows.shape()),
        workspaces_(static_cast<std::size_t>(room_.workers())),
        totals_(static_cast<std::size_t>(room_.workers())) {
    for (auto& run : runs_) live_.push_back(&run);
    final_.assign(runs_.size(), false);
  }

  /// Of all that is held below, with `runs` runs, and of a result of earlier runs that is kept beside them.
  static core::ScanNeed need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
    const std::int64_t d = rows.frame_dim;
    const std::int64_t block = std::min(rows.block_rows, rows.n_rows);
    core::ScanNeed need = data::scan_need(rows);
    need.fixed_bytes += 4 * (runs + 1) * k * d + linalg::NearestCentroids::bytes(k, d, runs);
    need.fixed_bytes += rows.n_blocks() * (8 * runs + 1);  // objective and `added` of a scan
    // When a cluster is empty: the rows that lie farthest.
    need.block_bytes += static_cast<std::int64_t>(sizeof(FarRow)) * (block + 2 * k);
    need.worker_bytes += Totals::bytes(runs, k, d) +
                         linalg::NearestCentroids::workspace_bytes(block, d, runs) + linalg::kBlasThreadBytes;
    return need;
  }

  void iterate(const std::string& label) {
    const core::TaskScope scope(execution_.observer, label, options_.max_iter + 1);
    while (!live_.empty()) {
      scan_once();
      std::vector<LloydRun*> still_live;
      for (std::size_t i = 0; i < live_.size(); ++i) {
        LloydRun& run = *live_[i];
        const auto index = static_cast<std::size_t>(&run - runs_.data());
        if (final_[index]) {
          const auto first = totals_[0].counts.begin() + static_cast<std::int64_t>(i) * k_;
          run.counts.assign(first, first + k_);
          run.inertia = inertia_[i];
        } else {
          final_[index] = update(run, i);
          still_live.push_back(&run);
        }
      }
      live_ = std::move(still_live);
      execution_.observer.task_advance(1, data_.rows.n_rows() * d_ * 4);
    }
  }

 private:
  bool is_final(std::size_t i) const { return final_[static_cast<std::size_t>(live_[i] - runs_.data())]; }

  linalg::NearestCentroids nearest_of_live() const {
    std::vector<float> centroids;
    centroids.reserve(live_.size() * static_cast<std::size_t>(k_ * d_));
    for (const LloydRun* run : live_)
      centroids.insert(centroids.end(), run->centroids.begin(), run->centroids.end());
    return {std::move(centroids), std::vector<std::int64_t>(live_.size(), k_), d_, data_.shift};
  }

  /// Labels every row for every live run; leaves sums and counts in totals_[0] and the objective in inertia_.
  void scan_once() {
    const auto n_live = static_cast<std::int64_t>(live_.size());
    const linalg::NearestCentroids nearest = nearest_of_live();
    for (auto& totals : totals_) totals.reset(n_live, k_, d_);
    std::vector<double> objective(static_cast<std::size_t>(data_.rows.n_blocks() * n_live));
    // The totals take every block once, also when its chunk is tried again.
    std::vector<std::uint8_t> added(static_cast<std::size_t>(data_.rows.n_blocks()), 0);
    inertia_.assign(live_.size(), 0.0);
    data::scan(
        data_.rows, room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::FeatureBlock& block) {
          if (added[static_cast<std::size_t>(b)] != 0) return;
          auto& workspace = workspaces_[static_cast<std::size_t>(worker)];
          nearest.assign(block.matrix(), block.n_rows, workspace);
          for (std::size_t i = 0; i < live_.size(); ++i) {
            objective[static_cast<std::size_t>(b * n_live) + i] =
                add_block(block, i, workspace, totals_[static_cast<std::size_t>(worker)]);
          }
          added[static_cast<std::size_t>(b)] = 1;
        },
        [&](std::int64_t first, std::int64_t n) {
          for (std::int64_t b = first; b < first + n; ++b) {
            for (std::size_t i = 0; i < live_.size(); ++i) {
              inertia_[i] += objective[static_cast<std::size_t>(b * n_live) + i];
            }
          }
        });
    for (std::size_t worker = 1; worker < totals_.size(); ++worker) totals_[0].add(totals_[worker]);
  }

  /// Adds a block's rows to the clusters of live run i; returns the block's part of the objective.
  double add_block(const data::FeatureBlock& block, std::size_t i,
                   const linalg::NearestCentroids::Workspace& workspace, Totals& totals) const {
    const auto run = static_cast<std::int64_t>(i);
    const std::int32_t* labels = workspace.labels.data() + run * block.n_rows;
    const float* squared = workspace.squared.data() + run * block.n_rows;
    std::int64_t* sums = totals.sums.data() + run * k_ * d_;
    std::int64_t* counts = totals.counts.data() + run * k_;
    const bool exact = is_final(i);
    double objective = 0;
    for (std::int64_t r = 0; r < block.n_rows; ++r) {
      const std::int32_t label = labels[r];
      ++counts[label];
      if (exact) {
        objective += linalg::kernels().squared_distance(block.matrix() + r * d_,
                                                        live_[i]->centroids.data() + label * d_, d_);
      } else {
        objective += static_cast<double>(squared[r]);
        linalg::kernels().accumulate_fixed(block.matrix() + r * d_, data_.shift.data(), data_.fixed_scale,
                                           sums + label * d_, d_);
      }
    }
    return objective;
  }

  /// Moves the centroids of live run i to their means. True when the run has come to its end.
  bool update(LloydRun& run, std::size_t i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t n_reseeded = reseed_empty(run, at);
    std::vector<float> centroids = run.centroids;
    for (std::int64_t c = 0; c < k_; ++c) mean_of(at, c, centroids.data() + c * d_);
    double shift = 0;
    for (std::size_t e = 0; e < centroids.size(); ++e) {
      const double moved = static_cast<double>(centroids[e]) - static_cast<double>(run.centroids[e]);
      shift += moved * moved;
    }
    run.centroids = std::move(centroids);
    ++run.n_iter;
    bool stop = run.n_iter == options_.max_iter;
    if (stop) run.stop = KMeansStop::kMaxIter;
    if (n_reseeded == 0 && shift <= options_.tol * data_.mean_variance) {
      stop = true;
      run.stop = shift == 0 ? KMeansStop::kNoChange : KMeansStop::kTol;
    }
    KMeansIteration iteration;
    iteration.phase = phase_;
    iteration.restart = run.restart;
    iteration.iteration = run.n_iter;
    iteration.n_rows = data_.rows.n_rows();
    iteration.inertia = inertia_[i];
    iteration.shift = shift;
    iteration.n_reseeded = n_reseeded;
    if (stop) iteration.stopped = to_string(run.stop);
    run.history.push_back(iteration);
    return stop;
  }

  /// The mean of cluster c of live run `at`, or nothing when it is empty.
  void mean_of(std::int64_t at, std::int64_t c, float* centroid) const {
    const std::int64_t count = totals_[0].counts[static_cast<std::size_t>(at * k_ + c)];
    if (count == 0) return;
    const std::uint64_t bias =
        static_cast<std::uint64_t>(count) * std::bit_cast<std::uint64_t>(linalg::kFixedMagic);
    const std::int64_t* sums = totals_[0].sums.data() + (at * k_ + c) * d_;
    const double scale = 1.0 / data_.fixed_scale / static_cast<double>(count);
    for (std::int64_t j = 0; j < d_; ++j) {
      const auto sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(sums[j]) - bias);
      centroid[j] = static_cast<float>(static_cast<double>(data_.shift[static_cast<std::size_t>(j)]) +
                                       static_cast<double>(sum) * scale);
    }
  }

  /// Gives each empty cluster the farthest row of a cluster that can spare one. Returns how many were moved.
  std::int64_t reseed_empty(const LloydRun& run, std::int64_t at) {
    std::int64_t* counts = totals_[0].counts.data() + at * k_;
    const std::int64_t n_empty = std::count(counts, counts + k_, 0);
    if (n_empty == 0) return 0;
    const std::vector<FarRow> far = farthest_rows(run, n_empty + k_);
    std::int64_t moved = 0;
    auto next = far.begin();
    data::FeatureBlock block;
    for (std::int64_t c = 0; c < k_ && moved < n_empty; ++c) {
      if (counts[c] != 0) continue;
      while (next != far.end() && counts[next->label] < 2) ++next;
      if (next == far.end()) break;
      data_.rows.load(next->row, 1, block);
      data_.rows.release(next->row, 1);
      move_row(at, next->label, c, block.matrix());
      ++next;
      ++moved;
    }
    return moved;
  }

  void move_row(std::int64_t at, std::int64_t from, std::int64_t to, const float* row) {
    std::int64_t* taker = totals_[0].sums.data() + (at * k_ + to) * d_;
    std::int64_t* giver = totals_[0].sums.data() + (at * k_ + from) * d_;
    linalg::kernels().accumulate_fixed(row, data_.shift.data(), data_.fixed_scale, taker, d_);
    for (std::int64_t j = 0; j < d_; ++j) {
      giver[j] = static_cast<std::int64_t>(static_cast<std::uint64_t>(giver[j]) -
                                           static_cast<std::uint64_t>(taker[j]));
    }
    --totals_[0].counts[static_cast<std::size_t>(at * k_ + from)];
    ++totals_[0].counts[static_cast<std::size_t>(at * k_ + to)];
  }

  /// The `n` rows farthest from their centroid, not counting rows that lie on it; farthest first.
  std::vector<FarRow> farthest_rows(const LloydRun& run, std::int64_t n) {
    const linalg::NearestCentroids nearest(run.centroids, {k_}, d_, data_.shift);
    std::vector<std::vector<FarRow>> partial(static_cast<std::size_t>(room_.slots()));
    std::vector<FarRow> best;
    const auto keep = [n](std::vector<FarRow>& rows) {
      const auto count = std::min<std::ptrdiff_t>(n, std::ssize(rows));
      std::partial_sort(rows.begin(), rows.begin() + count, rows.end(), farther);
      rows.resize(static_cast<std::size_t>(count));
    };
    data::scan(
        data_.rows, room_, "",
        [&](std::int64_t, std::int64_t slot, int worker, const data::FeatureBlock& block) {
          auto& workspace = workspaces_[static_cast<std::size_t>(worker)];
          nearest.assign(block.matrix(), block.n_rows, workspace);
          auto& rows = partial[static_cast<std::size_t>(slot)];
          rows.clear();
          rows.reserve(static_cast<std::size_t>(block.n_rows));
          for (std::int64_t r = 0; r < block.n_rows; ++r) {
            // In float64: a row on its centroid must count as distance 0, or reseeding would never settle.
            const double squared = linalg::kernels().squared_distance(
                block.matrix() + r * d_, run.centroids.data() + workspace.labels[r] * d_, d_);
            const FarRow row{squared, block.first_row + r, workspace.labels[r]};
            if (row.squared > 0) rows.push_back(row);
          }
          keep(rows);
        },
        [&](std::int64_t, std::int64_t count) {
          for (std::int64_t slot = 0; slot < count; ++slot) {
            const auto& rows = partial[static_cast<std::size_t>(slot)];
            best.insert(best.end(), rows.begin(), rows.end());
          }
          keep(best);
        });
    return best;
  }

  const KMeansData& data_;
  std::int64_t k_;
  std::int64_t d_;
  const KMeansOptions& options_;
  const std::string& phase_;
  std::vector<LloydRun>& runs_;
  core::Execution& execution_;
  data::ScanRoom room_;
  std::vector<linalg::NearestCentroids::Workspace> workspaces_;
  std::vector<Totals> totals_;  ///< per worker; [0] holds the sum after a scan
  std::vector<LloydRun*> live_;
  std::vector<bool> final_;  ///< per run: its centroids are final, only the inertia is missing
  std::vector<double> inertia_;
};

}  // namespace

void run_lloyd(const KMeansData& data, std::int64_t k, const KMeansOptions& options, const std::string& phase,
               std::vector<LloydRun>& runs, core::Execution& execution, const std::string& label) {
  Lloyd(data, k, options, phase, runs, execution).iterate(label);
}

core::ScanNeed lloyd_need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
  return Lloyd::need(rows, k, runs);
}

}  // namespace phase0::models
