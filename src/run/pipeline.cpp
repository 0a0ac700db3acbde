#include "phase0/pipeline.h"

#include "phase0/error.h"
#include "run/stage.h"

namespace phase0 {
namespace {

/// A signal that comes when a stage has just finished must not be lost to the next one's start.
void check_stop(const Observer& observer) {
  if (observer.stop_requested()) throw Error(ErrorKind::kInterrupted, "interrupted; start again to resume");
}

}  // namespace

StageOutcome collect(const Options& options, const RunFlags& flags, Observer& observer) {
  run::RunLock lock;
  return run::collect(options, flags, observer, lock);
}

StageOutcome fit(const Options& options, const RunFlags& flags, Observer& observer) {
  run::RunLock lock;
  return run::fit(options, flags, observer, lock);
}

StageOutcome analyze(const Options& options, const RunFlags& flags, Observer& observer) {
  run::RunLock lock;
  return run::analyze(options, flags, observer, lock);
}

void run_stages(const Options& options, const RunFlags& flags, Observer& observer) {
  run::RunLock lock;
  run::collect(options, flags, observer, lock);
  check_stop(observer);
  run::fit(options, flags, observer, lock);
  check_stop(observer);
  run::analyze(options, flags, observer, lock);
}

}  // namespace phase0
