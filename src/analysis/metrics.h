#pragma once

#include <cstdint>
#include <vector>

#include "analysis/split_scan.h"

namespace phase0::analysis {

/// The figures of one cell and slice on a split, from its sums. `n_total`: rows of the slice.
SplitMetrics split_metrics(const SplitWork& work, const CellSums& sums, std::size_t slice,
                           std::int64_t n_total);

/// (eval - train) / train of the variance ratios; empty when one is undefined or train's is 0.
std::optional<double> cross_speaker_degradation(const SplitMetrics& train, const SplitMetrics& eval);

/// Appends a row per speaker with enough included rows, speakers ascending.
void append_speakers(const SplitWork& work, const CellSums& sums, std::size_t cell, std::size_t slice,
                     std::vector<SpeakerMetrics>& out);

/// Appends the ten points of the confidence curve.
void append_confidence(const SplitWork& work, const CellSums& sums, std::size_t cell, std::size_t slice,
                       std::vector<ConfidencePoint>& out);

/// Appends a row per occupied cluster, ids ascending.
void append_clusters(const SplitWork& work, const CellSums& train, const CellSums& eval, std::size_t cell,
                     std::vector<ClusterMetrics>& out);

}  // namespace phase0::analysis
