#include "models/kmeans_lloyd.h"

#include <algorithm>
#include <bit>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "data/scan.h"
#include "linalg/bounded_nearest.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

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

std::uint64_t fixed_bias(std::int64_t count) {
  return static_cast<std::uint64_t>(count) * std::bit_cast<std::uint64_t>(linalg::kFixedMagic);
}

struct Workspace {
  linalg::NearestCentroids::Workspace nearest;
  core::AlignedBuffer<float> row;      ///< [d]
  core::AlignedBuffer<float> shifted;  ///< [d]
  core::AlignedBuffer<float> scores;   ///< [BoundedNearest::score_room(k)]
  std::vector<std::int64_t> fixed;     ///< [d]

  static std::int64_t bytes(std::int64_t block, std::int64_t d, std::int64_t k, std::int64_t runs) {
    return linalg::NearestCentroids::workspace_bytes(block, d, runs) + 16 * d +
           4 * linalg::BoundedNearest::score_room(k);
  }
  void prepare(std::int64_t d, std::int64_t score_room) {
    row.resize(d);
    shifted.resize(d);
    scores.resize(score_room);
    fixed.resize(static_cast<std::size_t>(d));
  }
};

/// A row that most often nobody looks at.
class LazyRow {
 public:
  LazyRow(const KMeansData& data, const data::FeatureBlock& block, std::int64_t r, Workspace& workspace)
      : data_(data), block_(block), r_(r), workspace_(workspace) {}

  const float* values() {
    if (values_ == nullptr) values_ = data_.rows.row(block_, r_, workspace_.row.data());
    return values_;
  }
  /// Less the data's shift, and the squared norm of that.
  const float* shifted() {
    if (!is_shifted_) {
      linalg::kernels().shift_and_norms(values(), data_.shift.data(), workspace_.shifted.data(), &norm_, 1,
                                        data_.rows.frame_dim());
    }
    is_shifted_ = true;
    return workspace_.shifted.data();
  }
  float norm() {
    shifted();
    return norm_;
  }

 private:
  const KMeansData& data_;
  const data::FeatureBlock& block_;
  std::int64_t r_;
  Workspace& workspace_;
  const float* values_ = nullptr;
  bool is_shifted_ = false;
  float norm_ = 0;
};

class Lloyd {
 public:
  Lloyd(const KMeansData& data, const LloydTask& task, std::vector<LloydRun>& runs,
        core::Execution& execution)
      : data_(data),
        task_(task),
        k_(task.k),
        d_(data.rows.frame_dim()),
        runs_(runs),
        execution_(execution),
        room_(execution, need(data.rows.shape(), k_, std::ssize(runs)), "k-means", data.rows.shape()),
        workspaces_(static_cast<std::size_t>(room_.workers())),
        totals_(static_cast<std::size_t>(room_.workers())) {
    for (auto& run : runs_) live_.push_back(&run);
    final_.assign(runs_.size(), false);
    kept_.reset(std::ssize(runs_), k_, d_);
  }

  /// Of all that is held below, with `runs` runs, and of a result of earlier runs that is kept beside them.
  static core::ScanNeed need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
    const std::int64_t d = rows.frame_dim;
    const std::int64_t block = std::min(rows.block_rows, rows.n_rows);
    core::ScanNeed need = data::scan_need(rows);
    need.fixed_bytes += 4 * (runs + 1) * k * d + Totals::bytes(runs, k, d);
    need.fixed_bytes +=
        std::max(linalg::NearestCentroids::bytes(k, d, runs), runs * linalg::BoundedNearest::bytes(k, d));
    need.fixed_bytes += rows.n_blocks() * (8 * runs + 1);  // objective and `added` of a scan
    // Bounds of the rows; or, when a cluster is empty, the rows that lie farthest.
    need.block_bytes += std::max(static_cast<std::int64_t>(sizeof(linalg::RowBounds)) * block * runs,
                                 static_cast<std::int64_t>(sizeof(FarRow)) * (block + 2 * k));
    need.worker_bytes += Totals::bytes(runs, k, d) + Workspace::bytes(block, d, k, runs);
    return need;
  }

  void iterate() {
    const core::TaskScope scope(execution_.observer, task_.label, task_.options.max_iter + 1);
    for (std::int64_t iteration = 0; !live_.empty(); ++iteration) {
      if (iteration < task_.unbounded_iterations) {
        label_all();
      } else {
        label_unsettled();
      }
      std::vector<LloydRun*> still_live;
      for (std::size_t i = 0; i < live_.size(); ++i) {
        LloydRun& run = *live_[i];
        if (is_final(i)) {
          run.counts.assign(counts_of(run), counts_of(run) + k_);
          run.inertia = exact_inertia_[i];
        } else {
          final_[index_of(run)] = update(run);
          still_live.push_back(&run);
        }
      }
      live_ = std::move(still_live);
      execution_.observer.task_advance(1, data_.rows.n_rows() * d_ * 4);
    }
  }

 private:
  std::size_t index_of(const LloydRun& run) const { return static_cast<std::size_t>(&run - runs_.data()); }
  bool is_final(std::size_t i) const { return final_[index_of(*live_[i])]; }
  std::int64_t* counts_of(const LloydRun& run) {
    return kept_.counts.data() + static_cast<std::int64_t>(index_of(run)) * k_;
  }
  std::int64_t* sums_of(const LloydRun& run) {
    return kept_.sums.data() + static_cast<std::int64_t>(index_of(run)) * k_ * d_;
  }

  /// Calls `work(block, workspace, totals, objective)` once for every block: `totals` [live, k, d] of the
  /// worker, `objective` [live] of the block. Adds the totals up in totals_[0] and the objectives, in block
  /// order, in exact_inertia_.
  template <typename Work>
  void scan_once(bool lazily, const Work& work) {
    const auto n_live = static_cast<std::int64_t>(live_.size());
    for (auto& totals : totals_) totals.reset(n_live, k_, d_);
    std::vector<double> objective(static_cast<std::size_t>(data_.rows.n_blocks() * n_live), 0.0);
    // The totals take every block once, also when its chunk is tried again.
    std::vector<std::uint8_t> added(static_cast<std::size_t>(data_.rows.n_blocks()), 0);
    exact_inertia_.assign(live_.size(), 0.0);
    const auto& scan = lazily ? data::scan_lazily : data::scan;
    scan(
        data_.rows, room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::FeatureBlock& block) {
          if (added[static_cast<std::size_t>(b)] != 0) return;
          work(block, workspaces_[static_cast<std::size_t>(worker)],
               totals_[static_cast<std::size_t>(worker)], objective.data() + b * n_live);
          added[static_cast<std::size_t>(b)] = 1;
        },
        [&](std::int64_t first, std::int64_t n) {
          for (std::int64_t b = first; b < first + n; ++b) {
            for (std::size_t i = 0; i < live_.size(); ++i) {
              exact_inertia_[i] += objective[static_cast<std::size_t>(b * n_live) + i];
            }
          }
          release_bounds(first, n);
        });
    for (std::size_t worker = 1; worker < totals_.size(); ++worker) totals_[0].add(totals_[worker]);
  }

  /// Labels every row afresh for every live run; kept_ has their sums and counts afterwards.
  void label_all() {
    std::vector<float> centroids;
    centroids.reserve(live_.size() * static_cast<std::size_t>(k_ * d_));
    for (const LloydRun* run : live_)
      centroids.insert(centroids.end(), run->centroids.begin(), run->centroids.end());
    const linalg::NearestCentroids nearest(std::move(centroids), std::vector<std::int64_t>(live_.size(), k_),
                                           d_, data_.shift);
    const auto work = [&](const data::FeatureBlock& block, Workspace& workspace, Totals& totals,
                          double* objective) {
      nearest.assign(block.matrix(), block.n_rows, workspace.nearest);
      for (std::size_t i = 0; i < live_.size(); ++i) {
        const std::int32_t* labels =
            workspace.nearest.labels.data() + static_cast<std::int64_t>(i) * block.n_rows;
        for (std::int64_t r = 0; r < block.n_rows; ++r) {
          const float* row = block.matrix() + r * d_;
          add_row(row, i, labels[r], totals);
          if (is_final(i)) objective[i] += squared_distance(row, i, labels[r]);
        }
      }
    };
    scan_once(false, work);
    keep_totals(false);
  }

  /// Labels the rows whose bounds do not settle that they stay where they are.
  void label_unsettled() {
    const bool first = bounded_.empty();
    if (first) start_bounds();
    for (const LloydRun* run : live_) bounded_[index_of(*run)].move_to(run->centroids);
    const auto work = [&](const data::FeatureBlock& block, Workspace& workspace, Totals& totals,
                          double* objective) {
      workspace.prepare(d_, linalg::BoundedNearest::score_room(k_));
      linalg::RowBounds* bounds = bounds_of(block.first_row);
      for (std::int64_t r = 0; r < block.n_rows; ++r, bounds += std::ssize(runs_)) {
        LazyRow row(data_, block, r, workspace);
        label_row(row, bounds, first, workspace, totals, objective);
      }
    };
    scan_once(true, work);
    keep_totals(!first);
  }

  void label_row(LazyRow& row, linalg::RowBounds* bounds, bool first, Workspace& workspace, Totals& totals,
                 double* objective) const {
    for (std::size_t i = 0; i < live_.size(); ++i) {
      const std::size_t run = index_of(*live_[i]);
      linalg::RowBounds& known = bounds[run];
      if (first) known.label = linalg::kUnlabelled;
      if (!bounded_[run].settled(known)) {
        const std::int32_t before = known.label;
        bounded_[run].update(row.values(), row.shifted(), row.norm(), known, workspace.scores.data());
        if (known.label != before) move_row(row.values(), i, before, known.label, workspace, totals);
      }
      if (final_[run]) objective[i] += squared_distance(row.values(), i, known.label);
    }
  }

  double squared_distance(const float* row, std::size_t i, std::int32_t label) const {
    return linalg::kernels().squared_distance(row, live_[i]->centroids.data() + label * d_, d_);
  }

  void add_row(const float* row, std::size_t i, std::int32_t label, Totals& totals) const {
    const std::int64_t cluster = static_cast<std::int64_t>(i) * k_ + label;
    ++totals.counts[static_cast<std::size_t>(cluster)];
    linalg::kernels().accumulate_fixed(row, data_.shift.data(), data_.fixed_scale,
                                       totals.sums.data() + cluster * d_, d_);
  }

  void move_row(const float* row, std::size_t i, std::int32_t from, std::int32_t to, Workspace& workspace,
                Totals& totals) const {
    add_row(row, i, to, totals);
    if (from == linalg::kUnlabelled) return;
    const std::int64_t cluster = static_cast<std::int64_t>(i) * k_ + from;
    --totals.counts[static_cast<std::size_t>(cluster)];
    std::fill(workspace.fixed.begin(), workspace.fixed.end(), 0);
    linalg::kernels().accumulate_fixed(row, data_.shift.data(), data_.fixed_scale, workspace.fixed.data(),
                                       d_);
    subtract(totals.sums.data() + cluster * d_, workspace.fixed.data());
  }

  void subtract(std::int64_t* sum, const std::int64_t* part) const {
    for (std::int64_t j = 0; j < d_; ++j) {
      sum[j] =
          static_cast<std::int64_t>(static_cast<std::uint64_t>(sum[j]) - static_cast<std::uint64_t>(part[j]));
    }
  }

  /// Takes totals_[0] into kept_: what was there plus what has moved, or all afresh.
  void keep_totals(bool only_changes) {
    for (std::size_t i = 0; i < live_.size(); ++i) {
      const LloydRun& run = *live_[i];
      const auto at = static_cast<std::int64_t>(i);
      const auto take = [only_changes](std::int64_t* to, const std::int64_t* from, std::int64_t n) {
        if (!only_changes) std::fill_n(to, n, 0);
        std::transform(to, to + n, from, to, wrapping_add);
      };
      take(sums_of(run), totals_[0].sums.data() + at * k_ * d_, k_ * d_);
      take(counts_of(run), totals_[0].counts.data() + at * k_, k_);
    }
  }

  void start_bounds() {
    constexpr auto kFloats = static_cast<std::int64_t>(sizeof(linalg::RowBounds) / sizeof(float));
    bounds_ = store::scratch_matrix(task_.scratch_folder, store::ElementType::kFloat32, data_.rows.n_rows(),
                                    std::ssize(runs_) * kFloats);
    for (std::size_t run = 0; run < runs_.size(); ++run) bounded_.emplace_back(k_, data_.shift);
  }

  linalg::RowBounds* bounds_of(std::int64_t row) {
    return reinterpret_cast<linalg::RowBounds*>(bounds_.mutable_row(row));
  }
  void release_bounds(std::int64_t first_block, std::int64_t n) const {
    const std::int64_t first = data_.rows.block_first(first_block);
    bounds_.release(first, std::min(n * data_.rows.block_rows(), data_.rows.n_rows() - first));
  }

  /// Moves the centroids of a run to their means. True when the run has come to its end.
  bool update(LloydRun& run) {
    Clusters clusters{sums_of(run), counts_of(run)};
    KMeansIteration iteration;
    iteration.inertia = inertia_of(run, clusters);
    std::vector<std::int64_t> sums, counts;  // when an empty cluster takes a row for this once
    if (std::count(clusters.counts, clusters.counts + k_, 0) > 0) {
      sums.assign(clusters.sums, clusters.sums + k_ * d_);
      counts.assign(clusters.counts, clusters.counts + k_);
      clusters = {sums.data(), counts.data()};
      iteration.n_reseeded = reseed_empty(run, clusters);
    }
    std::vector<float> centroids = run.centroids;
    for (std::int64_t c = 0; c < k_; ++c) mean_of(clusters, c, centroids.data() + c * d_);
    double shift = 0;
    for (std::size_t e = 0; e < centroids.size(); ++e) {
      const double moved = static_cast<double>(centroids[e]) - static_cast<double>(run.centroids[e]);
      shift += moved * moved;
    }
    run.centroids = std::move(centroids);
    ++run.n_iter;
    bool stop = run.n_iter == task_.options.max_iter;
    if (stop) run.stop = KMeansStop::kMaxIter;
    if (iteration.n_reseeded == 0 && shift <= task_.options.tol * data_.mean_variance) {
      stop = true;
      run.stop = shift == 0 ? KMeansStop::kNoChange : KMeansStop::kTol;
    }
    iteration.phase = task_.phase;
    iteration.restart = run.restart;
    iteration.iteration = run.n_iter;
    iteration.n_rows = data_.rows.n_rows();
    iteration.shift = shift;
    if (stop) iteration.stopped = to_string(run.stop);
    run.history.push_back(iteration);
    return stop;
  }

  /// Sums and counts of one run.
  struct Clusters {
    std::int64_t* sums;    ///< [k, d], biased by count x bits(kFixedMagic)
    std::int64_t* counts;  ///< [k]
  };

  /// The sum of the shifted rows of cluster c.
  template <typename Visit>
  void each_sum(const Clusters& clusters, std::int64_t c, const Visit& visit) const {
    const std::uint64_t bias = fixed_bias(clusters.counts[c]);
    const double scale = 1.0 / data_.fixed_scale;
    for (std::int64_t j = 0; j < d_; ++j) {
      const auto sum =
          static_cast<std::int64_t>(static_cast<std::uint64_t>(clusters.sums[c * d_ + j]) - bias);
      visit(j, static_cast<double>(sum) * scale);
    }
  }

  /// The mean of cluster c, or nothing when it is empty.
  void mean_of(const Clusters& clusters, std::int64_t c, float* centroid) const {
    if (clusters.counts[c] == 0) return;
    const auto count = static_cast<double>(clusters.counts[c]);
    each_sum(clusters, c, [&](std::int64_t j, double sum) {
      centroid[j] =
          static_cast<float>(static_cast<double>(data_.shift[static_cast<std::size_t>(j)]) + sum / count);
    });
  }

  /// sum |x - c|^2 = sum |x|^2 - 2 c . (sum of the cluster's x) + n |c|^2, of shifted x and c.
  double inertia_of(const LloydRun& run, const Clusters& clusters) const {
    double inertia = data_.sum_of_squares;
    for (std::int64_t c = 0; c < k_; ++c) {
      const auto count = static_cast<double>(clusters.counts[c]);
      each_sum(clusters, c, [&](std::int64_t j, double sum) {
        const double centroid = static_cast<double>(run.centroids[static_cast<std::size_t>(c * d_ + j)]) -
                                static_cast<double>(data_.shift[static_cast<std::size_t>(j)]);
        inertia += centroid * (count * centroid - 2.0 * sum);
      });
    }
    return std::max(inertia, 0.0);
  }

  /// Gives each empty cluster the farthest row of a cluster that can spare one. Returns how many were moved.
  std::int64_t reseed_empty(const LloydRun& run, const Clusters& clusters) {
    const std::int64_t n_empty = std::count(clusters.counts, clusters.counts + k_, 0);
    const std::vector<FarRow> far = farthest_rows(run, n_empty + k_);
    std::int64_t moved = 0;
    auto next = far.begin();
    data::FeatureBlock block;
    for (std::int64_t c = 0; c < k_ && moved < n_empty; ++c) {
      if (clusters.counts[c] != 0) continue;
      while (next != far.end() && clusters.counts[next->label] < 2) ++next;
      if (next == far.end()) break;
      data_.rows.load(next->row, 1, block);
      give_row(clusters, next->label, c, block.matrix());
      ++next;
      ++moved;
    }
    return moved;
  }

  void give_row(const Clusters& clusters, std::int64_t from, std::int64_t to, const float* row) const {
    std::int64_t* taker = clusters.sums + to * d_;
    linalg::kernels().accumulate_fixed(row, data_.shift.data(), data_.fixed_scale, taker, d_);
    subtract(clusters.sums + from * d_, taker);
    --clusters.counts[from];
    ++clusters.counts[to];
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
          auto& workspace = workspaces_[static_cast<std::size_t>(worker)].nearest;
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
  const LloydTask& task_;
  std::int64_t k_;
  std::int64_t d_;
  std::vector<LloydRun>& runs_;
  core::Execution& execution_;
  data::ScanRoom room_;
  std::vector<Workspace> workspaces_;
  std::vector<Totals> totals_;  ///< per worker; [0] holds the sum after a scan
  Totals kept_;                 ///< of all runs
  std::vector<LloydRun*> live_;
  std::vector<bool> final_;            ///< per run: its centroids are final, only the inertia is missing
  std::vector<double> exact_inertia_;  ///< [live], of those whose centroids are final
  std::vector<linalg::BoundedNearest> bounded_;  ///< per run, once there are bounds
  store::MappedDataset bounds_;                  ///< RowBounds [N, runs]
};

}  // namespace

void run_lloyd(const KMeansData& data, const LloydTask& task, std::vector<LloydRun>& runs,
               core::Execution& execution) {
  Lloyd(data, task, runs, execution).iterate();
}

core::ScanNeed lloyd_need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
  return Lloyd::need(rows, k, runs);
}

}  // namespace phase0::models
