#include "models/kmeans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/random.h"
#include "data/scan.h"
#include "models/kmeans_data.h"
#include "models/kmeans_lloyd.h"
#include "models/moments.h"
#include "store/mapped.h"

namespace phase0::models {
namespace {

constexpr std::int64_t kMinSampleRows = 65536;

/// `size` of n rows without replacement, ascending (selection sampling: Knuth, TAOCP 2, 3.4.2, algorithm S).
std::vector<std::int64_t> sample_rows(std::int64_t n, std::int64_t size, std::uint64_t seed) {
  core::Random random(core::derive_seed(seed, "k-means sample"));
  std::vector<std::int64_t> rows;
  rows.reserve(static_cast<std::size_t>(size));
  for (std::int64_t row = 0; std::ssize(rows) < size; ++row) {
    if (static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n - row))) <
        size - std::ssize(rows)) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// Memory of gather.
core::ScanNeed gather_need(const data::SourceShape& rows, std::int64_t sample_rows) {
  core::ScanNeed need = data::scan_need(rows);
  need.fixed_bytes += 8 * sample_rows;
  need.worker_bytes += std::min(rows.block_rows, rows.n_rows) * rows.frame_dim * 4;  // written pages
  return need;
}

/// Copies the sampled rows into a scratch matrix, in one scan.
store::MappedDataset gather(const data::FeatureSource& source, const std::vector<std::int64_t>& chosen,
                            const KMeansTask& task, core::Execution& execution) {
  const std::int64_t d = source.frame_dim();
  store::MappedDataset sample =
      store::scratch_matrix(task.scratch_folder, store::ElementType::kFloat32, std::ssize(chosen), d);
  float* out = sample.mutable_data<float>();
  const data::SourceShape shape = source.shape();
  data::ScanRoom room(execution, gather_need(shape, std::ssize(chosen)), "k-means sample", shape);
  data::scan(source, room, task.label + ": sample",
             [&](std::int64_t, std::int64_t, int, const data::FeatureBlock& block) {
               const auto first = std::lower_bound(chosen.begin(), chosen.end(), block.first_row);
               auto row = first;
               for (; row != chosen.end() && *row < block.first_row + block.n_rows; ++row) {
                 std::memcpy(out + (row - chosen.begin()) * d, block.matrix() + (*row - block.first_row) * d,
                             static_cast<std::size_t>(d) * sizeof(float));
               }
               // The pages stay in the page cache; here they would count as the process's own.
               sample.release(first - chosen.begin(), row - first);
             });
  return sample;
}

/// Restarts that share scans: as many as leave every worker its working copies, at least one.
std::int64_t runs_in_lockstep(const data::SourceShape& rows, std::int64_t k, std::int64_t n_init, int threads,
                              std::int64_t free_bytes) {
  const auto workers = static_cast<int>(std::min<std::int64_t>(threads, rows.n_blocks()));
  const auto fit = [&](std::int64_t runs) {
    return std::max(lloyd_need(rows, k, runs).bytes(workers, workers),
                    seeding_need(rows, k, runs).bytes(workers, workers)) <= free_bytes;
  };
  std::int64_t runs = n_init;
  while (runs > 1 && !fit(runs)) --runs;
  return runs;
}

/// Runs `count` restarts at their start centroids.
std::vector<LloydRun> seeded_runs(const KMeansData& data, const KMeansTask& task, std::int64_t first,
                                  std::int64_t count, core::Execution& execution) {
  const std::vector<float> start =
      seed_kmeans(data, task.k, first, count, task.seed, task.scratch_folder, execution, task.label);
  std::vector<LloydRun> runs(static_cast<std::size_t>(count));
  const std::int64_t size = task.k * data.rows.frame_dim();
  for (std::int64_t r = 0; r < count; ++r) {
    LloydRun& run = runs[static_cast<std::size_t>(r)];
    run.restart = first + r;
    run.centroids.assign(start.begin() + r * size, start.begin() + (r + 1) * size);
  }
  return runs;
}

/// All restarts, as many at a time as the budget allows; the one with the least inertia, its history marked.
LloydRun best_restart(const KMeansData& data, const KMeansTask& task, core::Execution& execution,
                      std::vector<KMeansIteration>& history) {
  const std::int64_t together = runs_in_lockstep(data.rows.shape(), task.k, task.options.n_init,
                                                 execution.pool.size(), execution.memory.free_bytes());
  LloydRun best;
  for (std::int64_t first = 0; first < task.options.n_init; first += together) {
    const std::int64_t count = std::min(together, task.options.n_init - first);
    std::vector<LloydRun> runs = seeded_runs(data, task, first, count, execution);
    run_lloyd(data, task.k, task.options, "restart", runs, execution, task.label + ": restarts");
    for (auto& run : runs) {
      history.insert(history.end(), run.history.begin(), run.history.end());
      if (best.centroids.empty() || run.inertia < best.inertia) best = std::move(run);
    }
  }
  for (auto& iteration : history) iteration.best = iteration.restart == best.restart;
  return best;
}

/// Continues a run on all rows.
LloydRun refine(const KMeansData& data, const KMeansTask& task, LloydRun start, core::Execution& execution,
                std::vector<KMeansIteration>& history) {
  std::vector<LloydRun> runs(1);
  runs[0].restart = start.restart;
  runs[0].centroids = std::move(start.centroids);
  run_lloyd(data, task.k, task.options, "refine", runs, execution, task.label + ": refining on all rows");
  for (auto& iteration : runs[0].history) {
    iteration.best = true;
    history.push_back(iteration);
  }
  return std::move(runs[0]);
}

}  // namespace

const char* to_string(KMeansStop stop) {
  switch (stop) {
    case KMeansStop::kTol:
      return "tol";
    case KMeansStop::kNoChange:
      return "no_change";
    case KMeansStop::kMaxIter:
      return "max_iter";
  }
  return "";
}

std::int64_t kmeans_sample_size(std::int64_t k) {
  return std::max(kMinSampleRows, 256 * k);
}

bool kmeans_uses_sample(const KMeansOptions& options, std::int64_t n_rows, std::int64_t k) {
  const std::int64_t size = kmeans_sample_size(k);
  if (options.restarts_on == RestartsOn::kAll) return false;
  return options.restarts_on == RestartsOn::kSample ? n_rows > size : n_rows > 2 * size;
}

KMeansModel fit_kmeans(const data::FeatureSource& rows, const KMeansTask& task, core::Execution& execution) {
  PHASE0_CHECK(rows.window() == 1 && task.options.n_init >= 1 && task.options.max_iter >= 1);
  if (task.k < 1 || rows.n_rows() < task.k) {
    throw Error(ErrorKind::kData,
                fmt::format("{}: {} clusters need at least as many train rows, there are {}", task.label,
                            task.k, rows.n_rows()));
  }
  const KMeansData data = prepare_kmeans(rows, execution, task.label);
  KMeansModel model;
  LloydRun best;
  if (kmeans_uses_sample(task.options, rows.n_rows(), task.k)) {
    model.sample_rows = kmeans_sample_size(task.k);
    const auto sample = data::matrix_source(
        gather(rows, sample_rows(rows.n_rows(), model.sample_rows, task.seed), task, execution));
    const KMeansData sample_data = prepare_kmeans(*sample, execution, task.label);
    best = best_restart(sample_data, task, execution, model.history);
    best = refine(data, task, std::move(best), execution, model.history);
  } else {
    best = best_restart(data, task, execution, model.history);
  }
  model.k = task.k;
  model.d = rows.frame_dim();
  model.centroids = std::move(best.centroids);
  model.counts = std::move(best.counts);
  model.inertia = best.inertia;
  model.n_iter = best.n_iter;
  model.n_used = rows.n_rows();
  return model;
}

KMeansMemory kmeans_memory(const data::SourceShape& rows, std::int64_t k, const KMeansOptions& options,
                           int threads, std::int64_t free_bytes) {
  KMeansMemory memory;
  const auto consider = [&](const core::ScanNeed& need, const data::SourceShape& of) {
    memory.planned_bytes =
        std::max(memory.planned_bytes, core::planned_bytes(need, of.n_blocks(), threads, free_bytes));
  };
  const auto require = [&](const core::ScanNeed& need) {
    memory.minimum_bytes = std::max(memory.minimum_bytes, need.minimum_bytes());
  };
  consider(moments_need(rows), rows);
  require(moments_need(rows));
  data::SourceShape restarts = rows;
  if (kmeans_uses_sample(options, rows.n_rows, k)) {
    restarts = data::matrix_shape(kmeans_sample_size(k), rows.frame_dim);
    for (const core::ScanNeed& need : {gather_need(rows, restarts.n_rows), lloyd_need(rows, k, 1)}) {
      consider(need, rows);
      require(need);
    }
  }
  memory.runs_together = runs_in_lockstep(restarts, k, options.n_init, threads, free_bytes);
  consider(seeding_need(restarts, k, memory.runs_together), restarts);
  consider(lloyd_need(restarts, k, memory.runs_together), restarts);
  require(seeding_need(restarts, k, 1));
  require(lloyd_need(restarts, k, 1));
  return memory;
}

}  // namespace phase0::models
