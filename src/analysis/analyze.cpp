#include "analysis/analyze.h"

#include <limits>
#include <utility>

#include "analysis/clusters.h"
#include "analysis/confidence.h"
#include "analysis/held_memory.h"
#include "analysis/metrics.h"
#include "analysis/slices.h"
#include "analysis/split_scan.h"
#include "core/check.h"
#include "data/spread_rows.h"

namespace phase0::analysis {
namespace {

void check_split(const AnalysisInput& input, const SplitInput& split) {
  PHASE0_CHECK(split.index != nullptr && split.delta != nullptr && split.delta->window() == 1);
  PHASE0_CHECK(split.delta->n_rows() == split.index->n_rows());
  PHASE0_CHECK(split.delta->frame_dim() == static_cast<std::int64_t>(input.sigma.size()));
  PHASE0_CHECK(split.high_energy.empty() || split.high_energy.rows() == split.index->n_rows());
  if (split.index->n_rows() > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorKind::kData, "a split of " + std::to_string(split.index->n_rows()) +
                                      " rows is too large: at most 2^31 - 1 work");
  }
}

void check_input(const AnalysisInput& input) {
  PHASE0_CHECK(!input.sigma.empty());
  check_split(input, input.train);
  check_split(input, input.eval);
  for (const CellInput& cell : input.cells) {
    for (const auto& [assignment, split] :
         {std::pair(&cell.train, &input.train), std::pair(&cell.eval, &input.eval)}) {
      PHASE0_CHECK(assignment->cluster.rows() == split->index->n_rows());
      PHASE0_CHECK(assignment->distance.rows() == split->index->n_rows());
    }
  }
}

/// The slices with rows in both splits; a warning for each of the others.
SliceSet usable_slices(const Options& options, const AnalysisInput& input, Observer& observer) {
  const SliceSet all(options.slices);
  const auto train = slice_sizes(all, count_masks(all, input.train));
  const auto eval = slice_sizes(all, count_masks(all, input.eval));
  std::vector<SliceOptions> usable;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (train[i] > 0 && eval[i] > 0) {
      usable.push_back(all[i]);
      continue;
    }
    const char* where = train[i] > 0 ? "eval" : eval[i] > 0 ? "train" : "either split";
    observer.log(LogLevel::kWarning, "slice " + all[i].name + " has no rows in " + where + " and is skipped");
  }
  return SliceSet(std::move(usable));
}

std::vector<ClusterTable> count_clusters(const Options& options, const AnalysisInput& input,
                                         core::Execution& execution) {
  const core::Reservation counting(execution.memory, counting_bytes(input.cells), "the cluster counts");
  std::vector<ClusterTable> tables;
  for (const CellInput& cell : input.cells) {
    execution.check_stop();
    tables.emplace_back(cell, options.clustering.min_cluster_size);
  }
  return tables;
}

RankPieces rank_pieces(const std::vector<ClusterTable>& tables, data::Split split) {
  std::vector<std::vector<std::int64_t>> counts;
  counts.reserve(tables.size());
  for (const ClusterTable& table : tables) counts.push_back(table.effective_counts(split));
  return RankPieces(counts);
}

/// A split, and what was measured on it.
struct SplitOutcome {
  SplitWork work;
  std::vector<std::int64_t> slice_rows;
  std::vector<CellSums> sums;
};

SplitOutcome split_of(data::Split split, const Options& options, const AnalysisInput& input,
                      const SliceSet& slices, const std::vector<ClusterTable>& tables) {
  const bool train = split == data::Split::kTrain;
  const SplitInput& rows = train ? input.train : input.eval;
  const auto masks = count_masks(slices, rows);
  const std::vector<float> medians =
      data::column_medians(data::spread_rows(*rows.delta), rows.delta->frame_dim());
  return {{train ? "train" : "eval",
           split,
           options,
           input,
           rows,
           slices,
           tables,
           {medians.begin(), medians.end()},
           PlaneMap(slices, masks),
           SpeakerOrder(*rows.index, kMinSpeakerRows),
           rank_pieces(tables, split),
           {}},
          slice_sizes(slices, masks),
          {}};
}

void measure(SplitOutcome& outcome, core::Execution& execution) {
  std::vector<const Assignment*> cells;
  for (std::size_t cell = 0; cell < outcome.work.tables.size(); ++cell) {
    cells.push_back(&outcome.work.assignment(cell));
  }
  outcome.work.cuts =
      confidence_cuts(outcome.work.slices, outcome.work.rows, cells, outcome.work.tables, execution);
  outcome.sums = scan_split(outcome.work, execution);
}

void append_cell(const SplitOutcome& train, const SplitOutcome& eval, std::size_t cell,
                 AnalysisResult& result) {
  const CellInput& input = train.work.input.cells[cell];
  const ClusterTable& table = train.work.tables[cell];
  for (std::size_t slice = 0; slice < train.work.slices.size(); ++slice) {
    CellMetrics metrics;
    metrics.condition = input.condition.name;
    metrics.type = input.condition.type;
    metrics.lag = input.lag;
    metrics.slice = train.work.slices[slice].name;
    metrics.n_effective_clusters = table.n_effective();
    metrics.train = split_metrics(train.work, train.sums[cell], slice, train.slice_rows[slice]);
    metrics.eval = split_metrics(eval.work, eval.sums[cell], slice, eval.slice_rows[slice]);
    metrics.cross_speaker_degradation = cross_speaker_degradation(metrics.train, metrics.eval);
    metrics.cluster_stats = table.stats(input.n_clusters);
    result.cells.push_back(std::move(metrics));
    for (const SplitOutcome* split : {&train, &eval}) {
      append_speakers(split->work, split->sums[cell], cell, slice, result.speakers);
      append_confidence(split->work, split->sums[cell], cell, slice, result.confidence);
    }
  }
  append_clusters(train.work, train.sums[cell], eval.sums[cell], cell, result.clusters);
}

}  // namespace

struct Analysis::Impl {
  Impl(const Options& all_options, const AnalysisInput& all_input, core::Execution& for_execution)
      : options(all_options),
        input(all_input),
        execution(for_execution),
        slices(usable_slices(options, input, execution.observer)),
        tables(count_clusters(options, input, execution)),
        held(held_bytes(input, tables, slices.size())),
        sums(execution.memory, held.sums, "the sums of the metrics"),
        train(split_of(data::Split::kTrain, options, input, slices, tables)),
        eval(split_of(data::Split::kEval, options, input, slices, tables)) {}

  const Options& options;
  const AnalysisInput& input;
  core::Execution& execution;
  SliceSet slices;
  std::vector<ClusterTable> tables;
  HeldBytes held;
  core::Reservation sums;
  SplitOutcome train, eval;
};

Analysis::Analysis(const Options& options, const AnalysisInput& input, core::Execution& execution) {
  check_input(input);
  impl_ = std::make_unique<Impl>(options, input, execution);
}

Analysis::~Analysis() = default;

AnalysisMemory Analysis::memory() const {
  const core::Execution& execution = impl_->execution;
  return memory_of({impl_->held,
                    counting_bytes(impl_->input.cells),
                    {impl_->train.work.shape(), impl_->eval.work.shape()}},
                   execution.pool.size(), execution.memory.free_bytes());
}

AnalysisResult Analysis::run() {
  measure(impl_->train, impl_->execution);
  measure(impl_->eval, impl_->execution);
  const core::Reservation rows(impl_->execution.memory, impl_->held.results, "the metrics");
  AnalysisResult result;
  std::size_t n_clusters = 0;
  for (const ClusterTable& table : impl_->tables) n_clusters += table.occupied().size();
  result.clusters.reserve(n_clusters);
  for (std::size_t cell = 0; cell < impl_->input.cells.size(); ++cell) {
    append_cell(impl_->train, impl_->eval, cell, result);
  }
  result.decision = decide(impl_->options, result.cells);
  return result;
}

AnalysisResult analyze(const Options& options, const AnalysisInput& input, core::Execution& execution) {
  return Analysis(options, input, execution).run();
}

}  // namespace phase0::analysis
