#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/accumulator.h"
#include "analysis/clusters.h"
#include "analysis/confidence.h"
#include "analysis/rank_pieces.h"
#include "analysis/row_order.h"
#include "analysis/scan_plan.h"
#include "analysis/slices.h"

namespace phase0::analysis {

/// Speakers with fewer included rows are not reported.
inline constexpr std::int64_t kMinSpeakerRows = 50;

/// Everything the metrics of one cell and split are made of.
struct CellSums {
  std::vector<GroupSums> observed;               ///< [slice]
  std::vector<EntropySums> entropy;              ///< [slice]
  std::vector<double> cluster_variance;          ///< [effective cluster], summed over dimensions; slice `all`
  std::vector<GroupSums> speakers;               ///< [speaker slot, slice]
  std::vector<std::vector<GroupSums>> curve;     ///< [slice][point], rows up to the cut
  std::vector<std::vector<GroupSums>> permuted;  ///< [permutation][slice]
};

/// One split, ready to be scanned. What is referred to must outlive the scan.
struct SplitWork {
  std::string name;  ///< `train` or `eval`
  data::Split split = data::Split::kTrain;
  const Options& options;
  const AnalysisInput& input;
  const SplitInput& rows;
  const SliceSet& slices;
  const std::vector<ClusterTable>& tables;  ///< [cell]
  /// [D], taken off every delta: no figure changes by it, and sums of squares of rows near zero keep the
  /// digits that those of a split far from the train mean would lose.
  std::vector<double> centre;
  PlaneMap planes;
  SpeakerOrder order;
  RankPieces pieces;
  std::vector<ConfidenceCuts> cuts;  ///< [cell * n_slices + slice]

  const Assignment& assignment(std::size_t cell) const;
  ScanShape shape() const;
};

/// Scans the deltas in speaker order, as often as the free memory asks for. Every sum is taken over rows in
/// that order and over tiles in ascending order, so the result depends on neither threads, chunks nor the
/// number of scans.
std::vector<CellSums> scan_split(const SplitWork& work, core::Execution& execution);

}  // namespace phase0::analysis
