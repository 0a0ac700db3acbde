#include "analysis/confidence.h"

#include <algorithm>

#include "core/order_statistics.h"

namespace phase0::analysis {
namespace {

/// What one pass reads: the included rows of one cell and slice.
struct CellSlice {
  SliceSet slice;  ///< the one
  const SplitInput& split;
  const Assignment& cell;
  const ClusterTable& table;
};

/// Calls `visit(row, distance)` for each included row, in row order.
template <typename Visit>
void for_each_included(const CellSlice& input, const Visit& visit) {
  const auto* ids = input.cell.cluster.data<std::int32_t>();
  const auto* distances = input.cell.distance.data<float>();
  for_each_mask(
      input.slice, input.split,
      [&](std::int64_t row, std::uint64_t mask) {
        if (mask == 0 || input.table.effective(ids[row]) < 0) return;
        visit(row, distances[row]);
      },
      [&](std::int64_t first, std::int64_t n) {
        input.cell.cluster.release(first, n);
        input.cell.distance.release(first, n);
      });
}

std::int64_t count_included(const CellSlice& input) {
  std::int64_t n_rows = 0;
  for_each_included(input, [&](std::int64_t row, float distance) {
    ++n_rows;
    if (distance >= 0) return;
    ErrorPlace place;
    place.path = input.cell.distance.region().path();
    place.frame = row;
    throw Error(ErrorKind::kData, "distance " + std::to_string(distance) + " is not a number >= 0", place);
  });
  return n_rows;
}

ConfidenceCuts find_cuts(const CellSlice& input) {
  ConfidenceCuts cuts;
  if (input.table.n_effective() == 0) return cuts;
  cuts.n_rows = count_included(input);
  if (cuts.n_rows == 0) return cuts;
  std::vector<std::int64_t> ranks;
  for (std::size_t i = 0; i < cuts.counts.size(); ++i) {
    const auto percent = static_cast<std::int64_t>(i + 1) * (100 / kCurvePoints);
    cuts.counts[i] = (percent * cuts.n_rows + 99) / 100;
    ranks.push_back(cuts.counts[i] - 1);
  }
  core::OrderStatistics statistics(64, ranks);
  while (statistics.next_pass()) {
    for_each_included(
        input, [&](std::int64_t row, float distance) { statistics.add(confidence_key(distance, row)); });
  }
  for (std::size_t i = 0; i < cuts.keys.size(); ++i) cuts.keys[i] = statistics.value(i);
  return cuts;
}

}  // namespace

std::vector<ConfidenceCuts> confidence_cuts(const SliceSet& slices, const SplitInput& split,
                                            const std::vector<const Assignment*>& cells,
                                            const std::vector<ClusterTable>& tables,
                                            core::Execution& execution) {
  const auto n_items = static_cast<std::int64_t>(cells.size() * slices.size());
  std::vector<ConfidenceCuts> result(static_cast<std::size_t>(n_items));
  const std::int64_t n_rows = split.index->n_rows();
  const std::int64_t parallel =
      cuts_in_parallel(n_rows, execution.pool.size(), execution.memory.free_bytes());
  const core::Reservation reservation(execution.memory, parallel * confidence_cuts_bytes(n_rows),
                                      "the confidence curves");
  const core::WorkerLimit limit(execution.pool, static_cast<int>(parallel));
  execution.pool.run(n_items, [&](std::int64_t i, int /*worker*/) {
    execution.check_stop();
    const auto item = static_cast<std::size_t>(i);
    const std::size_t cell = item / slices.size();
    result[item] = find_cuts({SliceSet({slices[item % slices.size()]}), split, *cells[cell], tables[cell]});
  });
  return result;
}

std::int64_t cuts_in_parallel(std::int64_t n_rows, int threads, std::int64_t free_bytes) {
  return std::clamp<std::int64_t>(free_bytes / confidence_cuts_bytes(n_rows), 1, threads);
}

std::int64_t confidence_cuts_bytes(std::int64_t n_rows) {
  std::int64_t mapped = 0;
  for (const std::int64_t row_bytes : {4, 4, 1}) {  // id, distance, energy
    mapped += std::min(n_rows * row_bytes, kReleaseRows * row_bytes + store::kMappedByFault);
  }
  return core::OrderStatistics::bytes(n_rows, kCurvePoints) + mapped;
}

}  // namespace phase0::analysis
