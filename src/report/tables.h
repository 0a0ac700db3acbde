#pragma once

#include <string>
#include <vector>

#include "phase0/results.h"

/// The contents of the CSV files of a run. Columns: README.md, "The run directory".
namespace phase0::report {

std::string tables_csv(const std::vector<CellMetrics>& cells);
/// Tidy: one line per figure; split is train, eval, or empty for what both share.
std::string metrics_csv(const std::vector<CellMetrics>& cells);
std::string speakers_csv(const std::vector<SpeakerMetrics>& speakers);
std::string clusters_csv(const std::vector<ClusterMetrics>& clusters);
std::string confidence_csv(const std::vector<ConfidencePoint>& points);
std::string pca_csv(const std::vector<PcaComponent>& components);
std::string kmeans_csv(const std::vector<KMeansIteration>& iterations);

}  // namespace phase0::report
