#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/observer.h"
#include "phase0/options.h"

/// The stages of an experiment. Each reads and writes the run directory `options.output.dir` (README.md),
/// throws Error, and leaves either its finished files or none. One run directory must not be used by two
/// calls at once.
namespace phase0 {

struct RunFlags {
  bool fresh = false;  ///< discard earlier progress instead of resuming it
};

enum class StageOutcome { kDone, kAlreadyDone };

/// Reads the latents, checks them, and writes features.h5.
StageOutcome collect(const Options& options, const RunFlags& flags, Observer& observer);
/// Fits the conditions on the train rows and assigns every row: models.h5, assignments.h5.
StageOutcome fit(const Options& options, const RunFlags& flags, Observer& observer);
/// Computes the metrics and writes the tables and reports.
StageOutcome analyze(const Options& options, const RunFlags& flags, Observer& observer);

/// What a part of a stage needs.
struct PlanItem {
  std::string name;
  std::int64_t bytes = 0;
};

/// What a stage will do, known before it starts.
struct StagePlan {
  std::string stage;
  std::int64_t rows = 0;        ///< sample rows it works on, train and eval
  std::int64_t passes_min = 0;  ///< scans over the frames at least
  std::int64_t passes_max = 0;  ///< and at most (k-means may stop early)
  std::int64_t disk_bytes = 0;  ///< written into the run directory, scratch files included
  std::int64_t peak_memory_bytes = 0;
  std::int64_t minimum_memory_bytes = 0;  ///< the smallest budget that works
  std::vector<PlanItem> memory;           ///< the largest parts of the peak
};

struct Plan {
  std::int64_t budget_bytes = 0;
  std::string budget_source;
  std::int64_t disk_free_bytes = 0;
  std::int64_t n_train = 0, n_eval = 0;
  std::string storage;  ///< dense or window
  std::vector<StagePlan> stages;
};

/// Works out what a run of `options` would take. Reads the input's metadata, writes nothing.
Plan plan(const Options& options, Observer& observer);

/// Shapes, attributes and sanity of one of phase0's HDF5 files, or of every file of a run directory, as text.
/// Throws Error (kData) when a file breaks its format.
std::string inspect(const std::string& path);

/// PASS or FAIL with reasons and the main table, as finished runs print it (the text of report.txt).
std::string report_text(const std::string& run_dir);

}  // namespace phase0
