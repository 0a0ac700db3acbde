#include "models/kmeans_lloyd.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "data/scan.h"
#include "linalg/bounded_nearest.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "models/cluster_sums.h"
#include "models/kmeans_empty.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

/// Of a worker, for a block of `n` rows.
struct RowWorkspace {
  core::AlignedBuffer<std::uint8_t> marks;   ///< [n]: 1 where some run must look at the row
  core::AlignedBuffer<std::int32_t> wanted;  ///< [n]: the rows that are loaded, at its beginning
  linalg::BoundedNearest::Workspace bounded;

  static std::int64_t bytes(std::int64_t n, std::int64_t d, std::int64_t k) {
    return 5 * n + linalg::BoundedNearest::workspace_bytes(n, k, d);
  }
  void prepare(std::int64_t n) {
    marks.resize(n);
    wanted.resize(n);
  }
};

constexpr std::int64_t kCacheLine = 64;

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
        nearest_(static_cast<std::size_t>(room_.workers())),
        totals_(static_cast<std::size_t>(room_.workers()), ClusterSums(data, k_)),
        kept_(data, k_) {
    for (auto& run : runs_) {
      if (!run.complete() && !paused(run)) live_.push_back(&run);
    }
    kept_.reset(std::ssize(runs_));
  }

  /// Of all that is held below, with `runs` runs, and of the runs that the caller keeps beside them.
  static core::ScanNeed need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
    const std::int64_t d = rows.frame_dim;
    const std::int64_t block = std::min(rows.block_rows, rows.n_rows);
    core::ScanNeed need = data::scan_need(rows);
    // Centroids: of the runs, of those kept beside them, and those that one moves to. Sums: of the runs, and
    // of one whose empty clusters take rows.
    need.fixed_bytes += 4 * (runs + kMostKeptRuns + 1) * k * d + ClusterSums::bytes(runs + 1, k, d);
    need.fixed_bytes +=
        std::max(linalg::NearestCentroids::bytes(k, d, runs),
                 runs * linalg::BoundedNearest::bytes(k, d) + linalg::NearestCentroids::bytes(k, d, 1));
    need.fixed_bytes += rows.n_blocks() * (8 * runs + 1);  // objective and `added` of a scan
    // Bounds of the rows; or, when a cluster is empty, the rows that lie farthest.
    need.block_bytes +=
        std::max(linalg::BoundedNearest::bounds_bytes(d) * block * runs, reseeding_block_bytes(rows, k));
    need.worker_bytes += ClusterSums::bytes(runs, k, d) + RowWorkspace::bytes(block, d, k) +
                         linalg::NearestCentroids::workspace_bytes(block, d, runs);
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
        if (run.ended()) {
          const std::int64_t* counts = kept_.counts(index_of(run));
          run.counts.assign(counts, counts + k_);
          run.inertia = exact_inertia_[i];
        } else {
          update(run);
          if (!paused(run)) still_live.push_back(&run);
        }
      }
      live_ = std::move(still_live);
      execution_.observer.task_advance(1, data_.rows.n_rows() * d_ * 4);
      if (task_.iterated) task_.iterated();
    }
  }

 private:
  bool paused(const LloydRun& run) const { return !run.ended() && run.n_iter >= task_.pause_after; }
  std::int64_t index_of(const LloydRun& run) const { return &run - runs_.data(); }

  struct Block {
    std::int64_t first_row = 0;
    std::int64_t n_rows = 0;
    std::size_t worker = 0;
    const data::RowLoader& load;
    ClusterSums& totals;  ///< of the live runs and the worker
    double* objective;    ///< [live] of the block
  };

  /// Calls `work(block)` once for every block. Adds the totals up in totals_[0] and the objectives, in block
  /// order, in exact_inertia_. A chunk for which there was no memory is tried again, so `work` must add
  /// nothing before the last thing that allocates.
  template <typename Work>
  void scan_once(const Work& work) {
    const auto n_live = static_cast<std::int64_t>(live_.size());
    for (auto& totals : totals_) totals.reset(n_live);
    std::vector<double> objective(static_cast<std::size_t>(data_.rows.n_blocks() * n_live), 0.0);
    // Blocks of a chunk that is tried again.
    std::vector<std::uint8_t> added(static_cast<std::size_t>(data_.rows.n_blocks()), 0);
    exact_inertia_.assign(live_.size(), 0.0);
    data::scan_rows(
        data_.rows, room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::RowLoader& load) {
          if (added[static_cast<std::size_t>(b)] != 0) return;
          const auto w = static_cast<std::size_t>(worker);
          const Block block{data_.rows.block_first(b),    data_.rows.block_size(b), w, load, totals_[w],
                            objective.data() + b * n_live};
          workspaces_[w].prepare(block.n_rows);
          work(block);
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

  std::span<const std::int32_t> all_rows(const Block& block) {
    auto& wanted = workspaces_[block.worker].wanted;
    std::iota(wanted.data(), wanted.data() + block.n_rows, 0);
    return wanted.span();
  }

  /// Labels every row afresh for every live run; kept_ has their sums and counts afterwards.
  void label_all() {
    std::vector<float> centroids;
    centroids.reserve(live_.size() * static_cast<std::size_t>(k_ * d_));
    for (const LloydRun* run : live_)
      centroids.insert(centroids.end(), run->centroids.begin(), run->centroids.end());
    const linalg::NearestCentroids nearest(std::move(centroids), std::vector<std::int64_t>(live_.size(), k_),
                                           d_, data_.shift);
    scan_once([&](const Block& block) {
      const float* rows = block.load(all_rows(block)).matrix();
      nearest.assign(rows, block.n_rows, nearest_[block.worker]);
      const std::int32_t* label = nearest_[block.worker].labels.data();
      for (std::int64_t i = 0; i < std::ssize(live_); ++i) {
        const LloydRun& run = *live_[static_cast<std::size_t>(i)];
        for (std::int64_t r = 0; r < block.n_rows; ++r, ++label) {
          const float* row = rows + r * d_;
          block.totals.add_row(row, i, *label);
          if (run.ended()) block.objective[i] += squared_distance(row, run, *label);
        }
      }
    });
    keep_totals(false);
  }

  /// Labels the rows whose bounds do not settle that they stay where they are.
  void label_unsettled() {
    const bool first = bounded_.empty();
    if (first) start_bounds();
    for (const LloydRun* run : live_) bounded_of(*run).move_to(run->centroids);
    scan_once([&](const Block& block) {
      bounded_of(*live_[0]).prepare(workspaces_[block.worker].bounded, block.n_rows);
      if (first) forget_labels(block);
      const std::span<const std::int32_t> wanted = rows_to_look_at(block);
      const float* rows = block.load(wanted).matrix();
      for (std::int64_t i = 0; i < std::ssize(live_); ++i) label_rows(block, i, wanted, rows);
    });
    keep_totals(!first);
  }

  void forget_labels(const Block& block) {
    for (const LloydRun* run : live_) {
      const linalg::RowBounds bounds = bounds_of(block, *run);
      for (std::int64_t r = 0; r < block.n_rows; ++r) bounds.set_label(r, linalg::kUnlabelled);
    }
  }

  /// Those that some live run does not settle; all where one wants its exact inertia, where they cost
  /// nothing, or where they are so short that they come with their neighbours.
  std::span<const std::int32_t> rows_to_look_at(const Block& block) {
    const bool all =
        data_.rows.in_memory() || d_ * static_cast<std::int64_t>(sizeof(float)) <= kCacheLine ||
        std::any_of(live_.begin(), live_.end(), [&](const LloydRun* run) { return run->ended(); });
    if (all) return all_rows(block);
    RowWorkspace& workspace = workspaces_[block.worker];
    workspace.marks.fill(0);
    for (const LloydRun* run : live_) {
      bounded_of(*run).mark_unsettled(bounds_of(block, *run), block.n_rows, workspace.marks.data());
    }
    std::size_t n = 0;
    for (std::int32_t r = 0; r < block.n_rows; ++r) {
      workspace.wanted[static_cast<std::int64_t>(n)] = r;
      n += workspace.marks[r];
    }
    return workspace.wanted.span().first(n);
  }

  /// For live run i the rows [wanted, d].
  void label_rows(const Block& block, std::int64_t i, std::span<const std::int32_t> wanted,
                  const float* rows) {
    const LloydRun& run = *live_[static_cast<std::size_t>(i)];
    const linalg::RowBounds bounds = bounds_of(block, run);
    linalg::BoundedNearest::Workspace& workspace = workspaces_[block.worker].bounded;
    bounded_of(run).label(rows, wanted, bounds, workspace);
    for (const auto& [row, before] : workspace.relabelled) {
      block.totals.add_row(rows + row * d_, i, bounds.label(wanted[static_cast<std::size_t>(row)]));
      if (before != linalg::kUnlabelled) block.totals.remove_row(rows + row * d_, i, before);
    }
    if (!run.ended()) return;
    for (const std::int32_t row : wanted) {
      block.objective[i] += squared_distance(rows, run, bounds.label(row));
      rows += d_;
    }
  }

  double squared_distance(const float* row, const LloydRun& run, std::int32_t label) const {
    return linalg::kernels().squared_distance(row, run.centroids.data() + label * d_, d_);
  }

  /// Takes totals_[0] into kept_: what was there plus what has moved, or all afresh.
  void keep_totals(bool only_changes) {
    for (std::int64_t i = 0; i < std::ssize(live_); ++i) {
      kept_.add_run(index_of(*live_[static_cast<std::size_t>(i)]), totals_[0], i, !only_changes);
    }
  }

  linalg::BoundedNearest& bounded_of(const LloydRun& run) {
    return *bounded_[static_cast<std::size_t>(index_of(run))];
  }
  void start_bounds() {
    bounds_ = store::scratch_matrix(
        task_.scratch_folder, store::ElementType::kFloat32, data_.rows.n_rows(),
        std::ssize(runs_) * linalg::RowBounds::floats(linalg::BoundedNearest::groups(d_)));
    for (std::size_t run = 0; run < runs_.size(); ++run)
      bounded_.push_back(linalg::BoundedNearest::make(k_, data_.shift));
  }

  linalg::RowBounds bounds_of(const Block& block, const LloydRun& run) {
    float* of_block = bounds_.mutable_data<float>() + block.first_row * bounds_.columns();
    return {of_block +
                index_of(run) * block.n_rows * linalg::RowBounds::floats(linalg::BoundedNearest::groups(d_)),
            linalg::BoundedNearest::groups(d_)};
  }
  void release_bounds(std::int64_t first_block, std::int64_t n) const {
    if (room_.slots() >= data_.rows.n_blocks()) return;  // there is room for all of them
    const std::int64_t first = data_.rows.block_first(first_block);
    bounds_.release(first, std::min(n * data_.rows.block_rows(), data_.rows.n_rows() - first));
  }

  /// Moves the centroids of a run to their means.
  void update(LloydRun& run) {
    KMeansIteration iteration;
    iteration.inertia = kept_.inertia(index_of(run), run.centroids);
    std::vector<float> centroids = run.centroids;
    if (kept_.n_empty(index_of(run)) == 0) {
      move_to_means(kept_, index_of(run), centroids);
    } else {  // an empty cluster takes a row for this once
      ClusterSums sums = kept_.copy_of_run(index_of(run));
      iteration.n_reseeded = reseed_empty(data_, run.centroids, sums, room_, nearest_);
      move_to_means(sums, 0, centroids);
    }
    double shift = 0;
    for (std::size_t e = 0; e < centroids.size(); ++e) {
      const double moved = static_cast<double>(centroids[e]) - static_cast<double>(run.centroids[e]);
      shift += moved * moved;
    }
    run.centroids = std::move(centroids);
    ++run.n_iter;
    if (run.n_iter == task_.options.max_iter) iteration.stopped = to_string(KMeansStop::kMaxIter);
    if (shift == 0 || (iteration.n_reseeded == 0 && shift <= task_.options.tol * data_.mean_variance)) {
      iteration.stopped = to_string(shift == 0 ? KMeansStop::kNoChange : KMeansStop::kTol);
    }
    iteration.phase = task_.phase;
    iteration.restart = run.restart;
    iteration.iteration = run.n_iter;
    iteration.n_rows = data_.rows.n_rows();
    iteration.shift = shift;
    run.history.push_back(iteration);
  }

  /// Of clusters that are not empty.
  void move_to_means(const ClusterSums& sums, std::int64_t run, std::vector<float>& centroids) const {
    for (std::int64_t c = 0; c < k_; ++c) {
      if (sums.counts(run)[c] > 0) sums.mean(run, c, centroids.data() + c * d_);
    }
  }

  const KMeansData& data_;
  const LloydTask& task_;
  std::int64_t k_;
  std::int64_t d_;
  std::vector<LloydRun>& runs_;
  core::Execution& execution_;
  data::ScanRoom room_;
  std::vector<RowWorkspace> workspaces_;                      ///< per worker
  std::vector<linalg::NearestCentroids::Workspace> nearest_;  ///< per worker
  std::vector<ClusterSums> totals_;  ///< of the live runs, per worker; [0] holds the sum after a scan
  ClusterSums kept_;                 ///< of all runs
  std::vector<LloydRun*> live_;
  std::vector<double> exact_inertia_;  ///< [live], of those whose centroids are final
  std::vector<std::unique_ptr<linalg::BoundedNearest>> bounded_;  ///< per run, once there are bounds
  store::MappedDataset bounds_;                                   ///< RowBounds, block by block [runs, rows]
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
