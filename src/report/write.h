#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/options.h"
#include "phase0/results.h"

namespace phase0::report {

/// Peak memory of a stage.
struct StageMemory {
  std::string stage;
  std::int64_t planned_bytes = 0, measured_bytes = 0, budget_bytes = 0;
};

/// What the report says of the run beside the metrics.
struct RunFacts {
  std::string version;
  std::string input_path;
  double frame_rate_hz = 0;
  std::int64_t dim = 0;
  std::int64_t n_utterances_train = 0, n_utterances_eval = 0;
  std::int64_t n_speakers_train = 0, n_speakers_eval = 0;
  std::int64_t n_rows_train = 0, n_rows_eval = 0;
  std::string storage;
  std::vector<StageMemory> memory = {};  ///< in the order of the stages; only report.html shows it
};

/// Writes tables.csv, speakers.csv, clusters.csv, confidence.csv, pca.csv, kmeans.csv, metrics.csv,
/// metrics.json, decision.json, report.txt and report.html into `run_dir`, each atomically. Throws Error
/// (kStorage).
void write_all(const std::string& run_dir, const Options& options, const AnalysisResult& result,
               const RunFacts& facts);

/// The text of report.txt.
std::string render_text(const Options& options, const AnalysisResult& result, const RunFacts& facts);

}  // namespace phase0::report
