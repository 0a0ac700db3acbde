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
  /// Progress of a stage is kept on disk about this often, for the next start after a kill; 0: whenever a
  /// step is done.
  double checkpoint_seconds = 10;
};

enum class StageOutcome { kDone, kAlreadyDone };

/// Reads the latents, checks them, and writes features.h5.
StageOutcome collect(const Options& options, const RunFlags& flags, Observer& observer);
/// Fits the conditions on the train rows and assigns every row: models.h5, assignments.h5.
StageOutcome fit(const Options& options, const RunFlags& flags, Observer& observer);
/// Computes the metrics and writes the tables and reports.
StageOutcome analyze(const Options& options, const RunFlags& flags, Observer& observer);

/// All three, and no other process comes between them.
void run_stages(const Options& options, const RunFlags& flags, Observer& observer);

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
  /// And at most: k-means may stop early. Looking for rows for empty clusters is on top, one scan each time.
  std::int64_t passes_max = 0;
  /// Bytes of files that it goes through, scratch files included and every pass counted. What the page cache
  /// holds comes from there.
  std::int64_t bytes_read_min = 0, bytes_read_max = 0;
  std::int64_t bytes_written_min = 0, bytes_written_max = 0;
  std::int64_t disk_bytes = 0;  ///< most that it takes of the run directory's disk, scratch files included
  std::int64_t peak_memory_bytes = 0;
  std::int64_t minimum_memory_bytes = 0;  ///< the smallest budget that works
  std::vector<PlanItem> memory;           ///< the largest parts of the peak
  /// Files of the run directory that lie in memory because it is on tmpfs, those of earlier stages included;
  /// part of the peak and of the minimum. 0 on a disk.
  std::int64_t output_in_memory_bytes = 0;
  /// Time in seconds from a calibration of this machine: files cached and k-means done at once; k-means at
  /// 90 iterations or `max_iter` (it converges late, if at all); files read cold and k-means at `max_iter`.
  /// Only `plan` fills them; 0 when the machine could not be measured.
  double seconds_min = 0, seconds_estimate = 0, seconds_max = 0;
};

/// A change of settings that makes a smaller budget do.
struct PlanChange {
  std::vector<std::string> settings;      ///< KEY=VALUE as `--set` takes them, to be applied together
  std::int64_t minimum_memory_bytes = 0;  ///< the smallest budget that works then
};

struct Plan {
  std::int64_t budget_bytes = 0;
  std::string budget_source;
  std::int64_t minimum_memory_bytes = 0;  ///< the smallest budget that all stages work in
  int threads = 0;
  std::int64_t disk_bytes = 0;  ///< that all stages take together
  std::int64_t disk_free_bytes = 0;
  std::int64_t disk_replaced_bytes = 0;  ///< of an earlier run's files, which go first
  std::int64_t n_train = 0, n_eval = 0;
  std::string storage;  ///< dense or window
  std::vector<StagePlan> stages;
  /// When the budget is too small: what to change for less, the least first; those that fit the budget come
  /// before those that help but are not enough alone.
  std::vector<PlanChange> changes;
};

/// Works out what a run of `options` would take. Reads the input's metadata and, unless the rates of this
/// machine are known from before, some MiB of its values for about a second; keeps the rates in
/// $XDG_CACHE_HOME/phase0/calibration.json and writes nothing else.
Plan plan(const Options& options, Observer& observer);

/// The message for a plan whose budget is too small: the smallest that works, and what to change for less.
std::string memory_error(const Plan& plan);

/// Shapes, attributes and sanity of one of phase0's HDF5 files, or of every file of a run directory, as text.
/// Throws Error (kData) when a file breaks its format.
std::string inspect(const std::string& path);

/// PASS or FAIL with reasons and the main table, as finished runs print it (the text of report.txt).
std::string report_text(const std::string& run_dir);

}  // namespace phase0
