#include "models/kmeans_lloyd.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/aligned_buffer.h"
#include "core/check.h"
#include "core/checked.h"
#include "data/scan.h"
#include "linalg/bounded_nearest.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "models/cluster_sums.h"
#include "models/kmeans_empty.h"
#include "models/live_runs.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

/// Of a worker, for a block of `n` rows of each lane.
struct RowWorkspace {
  core::AlignedBuffer<std::uint8_t> marks;    ///< [n]: 1 where some run of a lane must look at the row
  core::AlignedBuffer<std::int32_t> wanted;   ///< [lanes n]: the rows that are loaded, at its beginning
  core::AlignedBuffer<std::int32_t> in_lane;  ///< [lanes n]: the same as numbers in their lane
  linalg::BoundedNearest::Workspace bounded;

  static std::int64_t bytes(std::int64_t n, std::int64_t lanes, std::int64_t d, std::int64_t k) {
    return (1 + 8 * lanes) * n + linalg::BoundedNearest::workspace_bytes(n, k, d);
  }
  void prepare(std::int64_t n, std::int64_t lanes) {
    marks.resize(n);
    wanted.resize(lanes * n);
    in_lane.resize(lanes * n);
  }
};

constexpr std::int64_t kCacheLine = 64;

class Lloyd {
  using LiveRun = LiveRuns::Run;
  using LiveLane = LiveRuns::Lane;

 public:
  Lloyd(const data::FeatureSource& rows, std::span<const LloydLane> lanes, const LloydTask& task,
        core::Execution& execution)
      : rows_(rows),
        lanes_(lanes),
        task_(task),
        k_(task.k),
        d_(rows.frame_dim()),
        execution_(execution),
        room_(execution, need(rows.shape(), k_, count_runs(lanes)), "k-means", rows.shape()),
        workspaces_(static_cast<std::size_t>(room_.workers())),
        nearest_(static_cast<std::size_t>(room_.workers())),
        totals_(static_cast<std::size_t>(room_.workers()), ClusterSums(k_, d_)),
        kept_(k_, d_),
        live_(lanes, task.pause_after) {
    PHASE0_CHECK(rows.lanes() == std::ssize(lanes));
    std::vector<const KMeansData*> data;
    for (const LloydLane& lane : lanes) data.insert(data.end(), lane.runs.size(), &lane.data);
    kept_.reset(std::move(data));
  }

  /// Of all that is held below, with `runs` runs, and of the runs that the caller of one lane keeps beside
  /// them.
  static core::ScanNeed need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
    const std::int64_t d = rows.frame_dim;
    const std::int64_t lanes = rows.lanes;
    const std::int64_t block = std::min(rows.block_rows, rows.n_rows) / lanes;
    core::ScanNeed need = data::scan_need(rows);
    // Centroids: of the runs, of those kept beside them, and those that one moves to. Sums: of the runs, and
    // of one whose empty clusters take rows.
    need.fixed_bytes += 4 * (runs + kMostKeptRuns + 1) * k * d + ClusterSums::bytes(runs + 1, k, d);
    need.fixed_bytes +=
        std::max(lanes * linalg::NearestCentroids::bytes(k, d, core::ceil_div(runs, lanes)),
                 runs * linalg::BoundedNearest::bytes(k, d) + linalg::NearestCentroids::bytes(k, d, 1));
    need.fixed_bytes += rows.n_blocks() * (8 * runs + 1);  // objective and `added` of a scan
    // Bounds of the rows; or, when a cluster is empty, the rows that lie farthest.
    need.block_bytes +=
        std::max(linalg::BoundedNearest::bounds_bytes(d) * block * runs, reseeding_block_bytes(rows, k));
    need.worker_bytes += ClusterSums::bytes(runs, k, d) + RowWorkspace::bytes(block, lanes, d, k) +
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
      for (std::int64_t i = 0; i < live_.size(); ++i) {
        LloydRun& run = *live_[i].run;
        if (run.ended()) {
          const std::int64_t* counts = kept_.counts(live_[i].number);
          run.counts.assign(counts, counts + k_);
          run.inertia = exact_inertia_[static_cast<std::size_t>(i)];
        } else {
          update(live_[i]);
        }
      }
      live_.leave_out_ended();
      execution_.observer.task_advance(1, rows_.lane_rows() * d_ * 4);
      if (task_.iterated) task_.iterated();
    }
    bounds_.check_write_back();
  }

 private:
  static std::int64_t count_runs(std::span<const LloydLane> lanes) {
    std::int64_t runs = 0;
    for (const LloydLane& lane : lanes) runs += std::ssize(lane.runs);
    return runs;
  }

  struct Block {
    std::int64_t first_row = 0;  ///< of each lane
    std::int64_t n_rows = 0;     ///< of each lane
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
    const std::int64_t n_live = live_.size();
    for (auto& totals : totals_) totals.reset(live_.data());
    std::vector<double> objective(static_cast<std::size_t>(rows_.n_blocks() * n_live), 0.0);
    // Blocks of a chunk that is tried again.
    std::vector<std::uint8_t> added(static_cast<std::size_t>(rows_.n_blocks()), 0);
    exact_inertia_.assign(static_cast<std::size_t>(n_live), 0.0);
    data::scan_rows(
        rows_, room_, "",
        [&](std::int64_t b, std::int64_t, int worker, const data::RowLoader& load) {
          if (added[static_cast<std::size_t>(b)] != 0) return;
          const auto w = static_cast<std::size_t>(worker);
          const std::int64_t lanes = rows_.lanes();
          const Block block{rows_.lane_first(b), rows_.lane_size(b),           w, load,
                            totals_[w],          objective.data() + b * n_live};
          workspaces_[w].prepare(block.n_rows, lanes);
          work(block);
          added[static_cast<std::size_t>(b)] = 1;
        },
        [&](std::int64_t first, std::int64_t n) {
          for (std::int64_t b = first; b < first + n; ++b) {
            for (std::int64_t i = 0; i < n_live; ++i) {
              exact_inertia_[static_cast<std::size_t>(i)] +=
                  objective[static_cast<std::size_t>(b * n_live + i)];
            }
          }
          release_bounds(first, n);
        });
    for (std::size_t worker = 1; worker < totals_.size(); ++worker) totals_[0].add(totals_[worker]);
  }

  /// Loads the rows of a block that `choose(lane, rows)` writes the ascending numbers of to `rows` and
  /// returns the end of, for each live lane; then calls `work(lane, rows, x)` for each with x [rows, d].
  template <typename Choose, typename Work>
  void for_rows(const Block& block, const Choose& choose, const Work& work) {
    RowWorkspace& workspace = workspaces_[block.worker];
    std::int32_t* const begin = workspace.in_lane.data();
    std::int32_t* end = begin;
    std::vector<std::span<const std::int32_t>> chosen;
    for (const LiveLane& lane : live_.lanes()) {
      std::int32_t* const rows = end;
      end = choose(lane, rows);
      const auto offset = static_cast<std::int32_t>(lane.lane * block.n_rows);
      std::transform(rows, end, workspace.wanted.data() + (rows - begin),
                     [offset](std::int32_t row) { return row + offset; });
      chosen.emplace_back(rows, end);
    }
    const float* x =
        block.load(workspace.wanted.span().first(static_cast<std::size_t>(end - begin))).matrix();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      work(live_.lanes()[i], chosen[i], x);
      x += std::ssize(chosen[i]) * d_;
    }
  }

  static std::int32_t* all_rows(const Block& block, std::int32_t* rows) {
    std::iota(rows, rows + block.n_rows, 0);
    return rows + block.n_rows;
  }

  /// Labels every row afresh for every live run; kept_ has their sums and counts afterwards.
  void label_all() {
    std::vector<linalg::NearestCentroids> nearest;
    for (const LiveLane& lane : live_.lanes()) {
      std::vector<float> centroids;
      centroids.reserve(static_cast<std::size_t>(lane.size() * k_ * d_));
      for (const LiveRun& live : live_.runs(lane)) {
        centroids.insert(centroids.end(), live.run->centroids.begin(), live.run->centroids.end());
      }
      const std::vector<std::int64_t> sizes(static_cast<std::size_t>(lane.size()), k_);
      nearest.emplace_back(std::move(centroids), sizes, d_, live_[lane.begin].data->shift);
    }
    scan_once([&](const Block& block) {
      for (const auto& of_lane : nearest) {
        of_lane.prepare(nearest_[block.worker], block.n_rows, linalg::NearestCentroids::Want::kLabels);
      }
      auto of_lane = nearest.begin();
      for_rows(
          block, [&](const LiveLane&, std::int32_t* rows) { return all_rows(block, rows); },
          [&](const LiveLane& lane, std::span<const std::int32_t>, const float* x) {
            label_lane(block, lane, *of_lane++, x);
          });
    });
    keep_totals(false);
  }

  /// Labels all rows x of a lane.
  void label_lane(const Block& block, const LiveLane& lane, const linalg::NearestCentroids& nearest,
                  const float* x) {
    auto& workspace = nearest_[block.worker];
    nearest.assign(x, block.n_rows, workspace);
    const std::int32_t* label = workspace.labels.data();
    for (std::int64_t i = lane.begin; i < lane.end; ++i) {
      const LloydRun& run = *live_[i].run;
      for (std::int64_t r = 0; r < block.n_rows; ++r, ++label) {
        const float* row = x + r * d_;
        block.totals.add_row(row, i, *label);
        if (run.ended()) block.objective[i] += squared_distance(row, run, *label);
      }
    }
  }

  /// Labels the rows whose bounds do not settle that they stay where they are.
  void label_unsettled() {
    const bool first = bounded_.empty();
    if (first) start_bounds();
    for (const LiveRun& live : live_.runs()) bounded_of(live).move_to(live.run->centroids);
    scan_once([&](const Block& block) {
      bounded_of(live_[0]).prepare(workspaces_[block.worker].bounded, block.n_rows);
      if (first) forget_labels(block);
      for_rows(
          block, [&](const LiveLane& lane, std::int32_t* rows) { return rows_to_look_at(block, lane, rows); },
          [&](const LiveLane& lane, std::span<const std::int32_t> rows, const float* x) {
            for (std::int64_t i = lane.begin; i < lane.end; ++i) label_rows(block, i, rows, x);
          });
    });
    keep_totals(!first);
  }

  void forget_labels(const Block& block) {
    for (const LiveRun& live : live_.runs()) {
      const linalg::RowBounds bounds = bounds_of(block, live);
      for (std::int64_t r = 0; r < block.n_rows; ++r) bounds.set_label(r, linalg::kUnlabelled);
    }
  }

  /// Those that some live run of the lane does not settle; all where one wants its exact inertia, where they
  /// cost nothing, or where they are so short that they come with their neighbours.
  std::int32_t* rows_to_look_at(const Block& block, const LiveLane& lane, std::int32_t* rows) {
    const std::span<const LiveRun> runs = live_.runs(lane);
    const bool all = rows_.in_memory() || d_ * static_cast<std::int64_t>(sizeof(float)) <= kCacheLine ||
                     std::any_of(runs.begin(), runs.end(), [](const LiveRun& r) { return r.run->ended(); });
    if (all) return all_rows(block, rows);
    core::AlignedBuffer<std::uint8_t>& marks = workspaces_[block.worker].marks;
    marks.fill(0);
    for (const LiveRun& run : runs) {
      bounded_of(run).mark_unsettled(bounds_of(block, run), block.n_rows, marks.data());
    }
    for (std::int32_t r = 0; r < block.n_rows; ++r) {
      *rows = r;
      rows += marks[r];
    }
    return rows;
  }

  /// For live run i the rows x [wanted, d].
  void label_rows(const Block& block, std::int64_t i, std::span<const std::int32_t> wanted, const float* x) {
    const LloydRun& run = *live_[i].run;
    const linalg::RowBounds bounds = bounds_of(block, live_[i]);
    linalg::BoundedNearest::Workspace& workspace = workspaces_[block.worker].bounded;
    bounded_of(live_[i]).label(x, wanted, bounds, workspace);
    for (const auto& [row, before] : workspace.relabelled) {
      block.totals.add_row(x + row * d_, i, bounds.label(wanted[static_cast<std::size_t>(row)]));
      if (before != linalg::kUnlabelled) block.totals.remove_row(x + row * d_, i, before);
    }
    if (!run.ended()) return;
    for (const std::int32_t row : wanted) {
      block.objective[i] += squared_distance(x, run, bounds.label(row));
      x += d_;
    }
  }

  double squared_distance(const float* row, const LloydRun& run, std::int32_t label) const {
    return linalg::kernels().squared_distance(row, run.centroids.data() + label * d_, d_);
  }

  /// Takes totals_[0] into kept_: what was there plus what has moved, or all afresh.
  void keep_totals(bool only_changes) {
    for (std::int64_t i = 0; i < live_.size(); ++i) {
      kept_.add_run(live_[i].number, totals_[0], i, !only_changes);
    }
  }

  linalg::BoundedNearest& bounded_of(const LiveRun& live) {
    return *bounded_[static_cast<std::size_t>(live.number)];
  }
  void start_bounds() {
    bounds_ = store::scratch_matrix(
        task_.scratch_folder, store::ElementType::kFloat32, rows_.lane_rows(),
        count_runs(lanes_) * linalg::RowBounds::floats(linalg::BoundedNearest::groups(d_)));
    for (const LloydLane& lane : lanes_) {
      for (std::size_t run = 0; run < lane.runs.size(); ++run) {
        bounded_.push_back(linalg::BoundedNearest::make(k_, lane.data.shift));
      }
    }
  }

  linalg::RowBounds bounds_of(const Block& block, const LiveRun& live) {
    const std::int64_t groups = linalg::BoundedNearest::groups(d_);
    float* of_block = bounds_.mutable_data<float>() + block.first_row * bounds_.columns();
    return {of_block + live.number * block.n_rows * linalg::RowBounds::floats(groups), groups};
  }
  void release_bounds(std::int64_t first_block, std::int64_t n) const {
    if (room_.slots() >= rows_.n_blocks()) return;  // there is room for all of them
    const std::int64_t first = rows_.lane_first(first_block);
    bounds_.release(first, std::min(n * rows_.block_rows() / rows_.lanes(), bounds_.rows() - first));
  }

  /// Moves the centroids of a run to their means.
  void update(const LiveRun& live) {
    LloydRun& run = *live.run;
    const KMeansData& data = *live.data;
    KMeansIteration iteration;
    iteration.inertia = kept_.inertia(live.number, run.centroids);
    std::vector<float> centroids = run.centroids;
    if (kept_.n_empty(live.number) == 0) {
      move_to_means(kept_, live.number, centroids);
    } else {  // an empty cluster takes a row for this once
      ClusterSums sums = kept_.copy_of_run(live.number);
      iteration.n_reseeded = reseed_empty(data, run.centroids, sums, room_, nearest_);
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
    if (shift == 0 || (iteration.n_reseeded == 0 && shift <= task_.options.tol * data.mean_variance)) {
      iteration.stopped = to_string(shift == 0 ? KMeansStop::kNoChange : KMeansStop::kTol);
    }
    iteration.phase = task_.phase;
    iteration.restart = run.restart;
    iteration.iteration = run.n_iter;
    iteration.n_rows = data.rows.n_rows();
    iteration.shift = shift;
    run.history.push_back(iteration);
  }

  /// Of clusters that are not empty.
  void move_to_means(const ClusterSums& sums, std::int64_t run, std::vector<float>& centroids) const {
    for (std::int64_t c = 0; c < k_; ++c) {
      if (sums.counts(run)[c] > 0) sums.mean(run, c, centroids.data() + c * d_);
    }
  }

  const data::FeatureSource& rows_;
  std::span<const LloydLane> lanes_;
  const LloydTask& task_;
  std::int64_t k_;
  std::int64_t d_;
  core::Execution& execution_;
  data::ScanRoom room_;
  std::vector<RowWorkspace> workspaces_;                      ///< per worker
  std::vector<linalg::NearestCentroids::Workspace> nearest_;  ///< per worker
  std::vector<ClusterSums> totals_;  ///< of the live runs, per worker; [0] holds the sum after a scan
  ClusterSums kept_;                 ///< of all runs
  LiveRuns live_;
  std::vector<double> exact_inertia_;  ///< [live], of those whose centroids are final
  std::vector<std::unique_ptr<linalg::BoundedNearest>> bounded_;  ///< per run, once there are bounds
  store::MappedDataset bounds_;                                   ///< RowBounds, block by block [runs, rows]
};

}  // namespace

void run_lloyd(const data::FeatureSource& rows, std::span<const LloydLane> lanes, const LloydTask& task,
               core::Execution& execution) {
  Lloyd(rows, lanes, task, execution).iterate();
}

core::ScanNeed lloyd_need(const data::SourceShape& rows, std::int64_t k, std::int64_t runs) {
  return Lloyd::need(rows, k, runs);
}

}  // namespace phase0::models
