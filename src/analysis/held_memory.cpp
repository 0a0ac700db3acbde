#include "analysis/held_memory.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "analysis/accumulator.h"
#include "analysis/confidence.h"
#include "analysis/scan_plan.h"
#include "analysis/split_scan.h"
#include "core/checked.h"

namespace phase0::analysis {
namespace {

/// Heap part of a result row's strings, and slack.
constexpr std::int64_t kRowSlack = 64;

/// Sizes of one cell, known or bounded.
struct HeldShape {
  std::int64_t n_clusters = 0;  ///< possible
  std::int64_t n_occupied = 0;
  std::int64_t n_effective = 0;
  std::int64_t n_speakers = 0;  ///< train and eval
  std::int64_t n_slices = 0;
};

template <typename Row>
constexpr std::int64_t row_bytes() {
  return 2 * (static_cast<std::int64_t>(sizeof(Row)) + kRowSlack);  // twice for the growth of the vector
}

void add_cell(const HeldShape& shape, HeldBytes& held) {
  const std::int64_t speakers = shape.n_speakers * shape.n_slices;
  // The variance of every effective cluster in both splits, twice while tiles are merged; pieces of the
  // ranks.
  held.sums += cluster_table_bytes(shape.n_clusters, shape.n_occupied) + 2 * 2 * 8 * shape.n_effective +
               2 * RankPieces::bytes(shape.n_effective) +
               speakers * static_cast<std::int64_t>(sizeof(GroupSums));
  // Rows of clusters are reserved in one piece (analyze.cpp); their variances and counts are laid out for
  // them.
  held.results +=
      shape.n_occupied * (static_cast<std::int64_t>(sizeof(ClusterMetrics)) + kRowSlack) +
      2 * 2 * 8 * shape.n_effective + speakers * row_bytes<SpeakerMetrics>() +
      shape.n_slices * (row_bytes<CellMetrics>() + 2 * kCurvePoints * row_bytes<ConfidencePoint>());
}

std::int64_t reported_speakers(std::int64_t n_rows, std::int64_t max_speakers) {
  const std::int64_t bound = n_rows / kMinSpeakerRows;
  return max_speakers < 0 ? bound : std::min(bound, max_speakers);
}

ScanShape bounded_shape(const Options& options, std::int64_t dim, std::int64_t n_rows, std::int64_t n_train,
                        std::int64_t max_speakers) {
  ScanShape shape;
  shape.n_rows = n_rows;
  shape.dim = dim;
  shape.n_slices = shape.planes_per_row = std::ssize(options.slices);
  shape.n_planes = PlaneMap::most_planes(options.slices);
  shape.permutations = options.metrics.permutations;
  shape.n_speakers = reported_speakers(n_rows, max_speakers);
  const std::int64_t most = n_train / std::max<std::int64_t>(options.clustering.min_cluster_size, 1);
  for (const ConditionOptions& condition : options.clustering.conditions) {
    const std::int64_t clusters = std::min(possible_clusters(condition), most);
    shape.n_clusters.insert(shape.n_clusters.end(), options.context.lags.size(), clusters);
  }
  // Each ends where no other does, at most.
  const auto all = std::accumulate(shape.n_clusters.begin(), shape.n_clusters.end(), std::int64_t{0});
  shape.n_pieces = std::min(all, n_rows);
  return shape;
}

}  // namespace

std::int64_t counting_bytes(const std::vector<CellInput>& cells) {
  std::int64_t most = 0;
  for (const CellInput& cell : cells) {
    most = std::max(most,
                    id_counter_bytes(cell.n_clusters, cell.train.cluster.rows() + cell.eval.cluster.rows()));
  }
  return most;
}

HeldBytes held_bytes(const AnalysisInput& input, const std::vector<ClusterTable>& tables,
                     std::size_t n_slices) {
  std::int64_t n_speakers = 0;
  for (const SplitInput* split : {&input.train, &input.eval}) {
    n_speakers +=
        reported_speakers(split->index->n_rows(), static_cast<std::int64_t>(input.speaker_names.size()));
  }
  HeldBytes held;
  for (std::size_t cell = 0; cell < tables.size(); ++cell) {
    add_cell({input.cells[cell].n_clusters, std::ssize(tables[cell].occupied()), tables[cell].n_effective(),
              n_speakers, static_cast<std::int64_t>(n_slices)},
             held);
  }
  return held;
}

AnalysisMemory memory_of(const AnalysisSizes& sizes, int threads, std::int64_t free_bytes) {
  AnalysisMemory memory;
  memory.minimum_bytes = memory.one_scan_bytes = memory.planned_bytes =
      std::max(sizes.counting_bytes, sizes.held.results);
  for (const ScanShape& shape : sizes.splits) {
    const std::int64_t cuts = confidence_cuts_bytes(shape.n_rows);
    memory.minimum_bytes = std::max(memory.minimum_bytes, cuts);
    memory.one_scan_bytes = std::max(memory.one_scan_bytes, threads * cuts);
    memory.planned_bytes =
        std::max(memory.planned_bytes, cuts_in_parallel(shape.n_rows, threads, free_bytes) * cuts);
    const std::vector<Unit> units = list_units(shape);
    for (const Scan& alone : pack(shape, units, {1, 1}, 0)) {
      memory.minimum_bytes = std::max(memory.minimum_bytes, alone.need.minimum_bytes());
    }
    constexpr auto kAll = std::numeric_limits<std::int64_t>::max();
    for (const Scan& all : plan_scans(shape, units, threads, kAll)) {
      memory.one_scan_bytes =
          std::max(memory.one_scan_bytes, core::planned_bytes(all.need, shape.n_blocks(), threads, kAll));
    }
    const std::vector<Scan> scans = plan_scans(shape, units, threads, free_bytes);
    memory.n_scans = std::max(memory.n_scans, std::ssize(scans));
    for (const Scan& scan : scans) {
      memory.planned_bytes = std::max(memory.planned_bytes,
                                      core::planned_bytes(scan.need, shape.n_blocks(), threads, free_bytes));
    }
  }
  memory.minimum_bytes += sizes.held.sums;
  memory.one_scan_bytes += sizes.held.sums;
  memory.planned_bytes += sizes.held.sums;
  return memory;
}

AnalysisMemory analysis_memory(const Options& options, std::int64_t dim, std::int64_t n_train,
                               std::int64_t n_eval, int threads, std::int64_t free_bytes,
                               std::int64_t max_speakers) {
  AnalysisSizes sizes;
  for (const std::int64_t n_rows : {n_train, n_eval}) {
    sizes.splits.push_back(bounded_shape(options, dim, n_rows, n_train, max_speakers));
  }
  const std::int64_t n_speakers =
      reported_speakers(n_train, max_speakers) + reported_speakers(n_eval, max_speakers);
  const ScanShape& shape = sizes.splits.front();
  const std::size_t n_lags = options.context.lags.size();
  for (std::size_t cell = 0; cell < shape.n_clusters.size(); ++cell) {
    const std::int64_t possible = possible_clusters(options.clustering.conditions[cell / n_lags]);
    add_cell(
        {possible, std::min(possible, n_train + n_eval), shape.n_clusters[cell], n_speakers, shape.n_slices},
        sizes.held);
    sizes.counting_bytes = std::max(sizes.counting_bytes, id_counter_bytes(possible, n_train + n_eval));
  }
  return memory_of(sizes, threads, free_bytes - sizes.held.sums);
}

}  // namespace phase0::analysis
