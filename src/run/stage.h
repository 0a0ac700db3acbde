#pragma once

#include <functional>
#include <string>
#include <vector>

#include "phase0/pipeline.h"
#include "run/run_lock.h"
#include "run/session.h"

namespace phase0::run {

/// What a stage's work says of itself once it is done.
struct StageReport {
  StagePlan plan;
  std::vector<PlanItem> extra;  ///< further counts for run.json
};

/// The stages of phase0/pipeline.h under a lock that the caller keeps from one to the next: nobody comes
/// between them. It is taken by the first that has something to do.
StageOutcome collect(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock);
StageOutcome fit(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock);
StageOutcome analyze(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock);

/// The frame around each stage: skips it when the journal has it for this key, else locks a run directory
/// that is there, runs `work`, records figures in run.json and finishes the journal entry.
StageOutcome run_stage(Session& session, const std::string& stage, const std::string& key, bool fresh,
                       const std::function<StageReport()>& work);

/// Key of a finished earlier stage that must match `expected`; throws Error that says which command to run
/// (kConfig; kStorage when the stage was done, but one of its files has changed since).
void require_stage(const Session& session, const std::string& stage, const std::string& expected);

}  // namespace phase0::run
