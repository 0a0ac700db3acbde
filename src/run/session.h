#pragma once

#include <optional>
#include <string>

#include "core/execution.h"
#include "phase0/observer.h"
#include "phase0/options.h"
#include "phase0/pipeline.h"
#include "run/run_directory.h"
#include "run/run_lock.h"
#include "run/stage_cache.h"

namespace phase0::run {

/// As the options say, or as many as there are.
int thread_count(const ComputeOptions& compute);

/// What a stage works with: validated options, the run directory, threads, memory, kernels.
class Session {
 public:
  /// Selects the kernels. `lock` outlives the session and is the run directory's, once it is locked; without
  /// it the session has its own. Throws Error (kConfig, kMemory).
  Session(const Options& options, Observer& observer, RunLock* lock = nullptr);

  const Options& options() const { return options_; }
  const RunDirectory& directory() const { return directory_; }
  core::Execution& execution() { return execution_; }
  Observer& observer() { return execution_.observer; }
  int threads() const { return pool_.size(); }
  const std::string& kernels() const { return kernels_; }
  const core::MemoryBudget& memory() const { return memory_; }

  /// Creates the run directory and keeps other processes out of it while the lock lives. May be called again.
  void lock_directory();

  /// From here on finished parts of the running stage are kept in the run directory, which must be locked:
  /// until end_stage().
  void keep_units(const RunFlags& flags);

  /// Watches the memory and provides the start values of tuned scans, for as long as a stage runs: until
  /// end_stage().
  void begin_stage(const std::string& stage);
  void end_stage();
  /// What the running stage is to take, for the messages of the watch.
  void announce(std::int64_t planned_bytes);
  /// What the scans of the running stage have learnt.
  const core::TuningTable& tuning() const { return tuning_; }

 private:
  Options options_;
  RunDirectory directory_;
  RunLock own_lock_;
  RunLock* lock_;
  std::string kernels_;
  core::MemoryBudget memory_;
  core::ThreadPool pool_;
  std::optional<core::MemoryMonitor> monitor_;
  core::TuningTable tuning_;
  std::string stage_;  ///< the running one
  std::optional<StageCache> cache_;
  core::Execution execution_;
};

}  // namespace phase0::run
