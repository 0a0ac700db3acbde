#include "analysis/held_memory.h"

#include <algorithm>
#include <limits>

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

std::int64_t cell_bytes(const HeldShape& shape) {
  const std::int64_t clusters =
      shape.n_occupied * row_bytes<ClusterMetrics>() + 2 * 2 * 8 * shape.n_effective;
  const std::int64_t speakers = shape.n_speakers * shape.n_slices *
                                (row_bytes<SpeakerMetrics>() + static_cast<std::int64_t>(sizeof(GroupSums)));
  const std::int64_t rows =
      shape.n_slices * (row_bytes<CellMetrics>() + 2 * kCurvePoints * row_bytes<ConfidencePoint>());
  return cluster_table_bytes(shape.n_clusters, shape.n_occupied) + clusters + speakers + rows;
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
  shape.n_slices = shape.n_planes = static_cast<std::int64_t>(options.slices.size());
  shape.permutations = options.metrics.permutations;
  shape.n_speakers = reported_speakers(n_rows, max_speakers);
  const std::int64_t most = n_train / std::max<std::int64_t>(options.clustering.min_cluster_size, 1);
  for (const ConditionOptions& condition : options.clustering.conditions) {
    const std::int64_t clusters = std::min(possible_clusters(condition), most);
    shape.n_clusters.insert(shape.n_clusters.end(), options.context.lags.size(), clusters);
  }
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

std::int64_t held_bytes(const AnalysisInput& input, const std::vector<ClusterTable>& tables,
                        std::size_t n_slices) {
  std::int64_t n_speakers = 0;
  for (const SplitInput* split : {&input.train, &input.eval}) {
    n_speakers +=
        reported_speakers(split->index->n_rows(), static_cast<std::int64_t>(input.speaker_names.size()));
  }
  std::int64_t bytes = 0;
  for (std::size_t cell = 0; cell < tables.size(); ++cell) {
    bytes +=
        cell_bytes({input.cells[cell].n_clusters, static_cast<std::int64_t>(tables[cell].occupied().size()),
                    tables[cell].n_effective(), n_speakers, static_cast<std::int64_t>(n_slices)});
  }
  return bytes;
}

AnalysisMemory analysis_memory(const Options& options, std::int64_t dim, std::int64_t n_train,
                               std::int64_t n_eval, int threads, std::int64_t max_speakers) {
  AnalysisMemory scan;
  for (const std::int64_t n_rows : {n_train, n_eval}) {
    const ScanShape shape = bounded_shape(options, dim, n_rows, n_train, max_speakers);
    const std::vector<Unit> units = list_units(shape);
    const std::int64_t base = scan_base_bytes(shape, threads);
    for (const Scan& alone : pack(shape, units, 0)) {
      scan.minimum_bytes = std::max(scan.minimum_bytes, base + alone.bytes);
    }
    for (const Scan& all : pack(shape, units, std::numeric_limits<std::int64_t>::max())) {
      scan.one_scan_bytes = std::max(scan.one_scan_bytes, base + all.bytes);
    }
  }
  const std::int64_t n_speakers =
      reported_speakers(n_train, max_speakers) + reported_speakers(n_eval, max_speakers);
  std::int64_t held = 0;
  std::int64_t counting = 0;
  const ScanShape shape = bounded_shape(options, dim, n_train, n_train, max_speakers);
  const std::size_t n_lags = options.context.lags.size();
  for (std::size_t cell = 0; cell < shape.n_clusters.size(); ++cell) {
    const std::int64_t possible = possible_clusters(options.clustering.conditions[cell / n_lags]);
    held += cell_bytes(
        {possible, std::min(possible, n_train + n_eval), shape.n_clusters[cell], n_speakers, shape.n_slices});
    counting = std::max(counting, id_counter_bytes(possible, n_train + n_eval));
  }
  const std::int64_t always = held + counting;
  return {always + std::max(scan.minimum_bytes, confidence_cuts_bytes()),
          always + std::max(scan.one_scan_bytes, threads * confidence_cuts_bytes())};
}

}  // namespace phase0::analysis
