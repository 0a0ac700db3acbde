#include "run/stage.h"

#include <fmt/format.h>

#include <filesystem>

#include "run/journal.h"
#include "run/provenance.h"
#include "run/stage_cache.h"
#include "run/tuning_cache.h"

namespace phase0::run {

namespace {

/// A session's watch and tuning table while a stage runs.
class RunningStage {
 public:
  RunningStage(Session& session, const std::string& stage) : session_(session) { session.begin_stage(stage); }
  ~RunningStage() { session_.end_stage(); }
  RunningStage(const RunningStage&) = delete;
  RunningStage& operator=(const RunningStage&) = delete;

 private:
  Session& session_;
};

}  // namespace

StageOutcome run_stage(Session& session, const std::string& stage, const std::string& key, bool fresh,
                       const std::function<StageReport()>& work) {
  const auto is_done = [&] { return !fresh && Journal(session.directory()).done(stage, key); };
  bool done = is_done();
  std::error_code ignored;
  if (!done && std::filesystem::is_directory(session.directory().path, ignored)) {
    session.lock_directory();
    done = is_done();  // the one who held the lock may have just brought it to its end
  }
  if (done) {
    session.observer().log(LogLevel::kInfo,
                           fmt::format("{}: already done in {}", stage, session.directory().path));
    return StageOutcome::kAlreadyDone;
  }
  const Journal journal(session.directory());
  if (journal.key(stage).has_value() && journal.key(stage) != key) {
    session.observer().log(LogLevel::kInfo,
                           fmt::format("{}: what is in {} is of another input or configuration; done again",
                                       stage, session.directory().path));
  }
  const RunningStage running(session, stage);
  const StageMeter meter;
  // Input is checked and refused inside `work` before it writes anything, so nothing is created before it.
  const StageReport report = work();
  const StageMeter::Figures figures = meter.read();
  record_stage(session, report.plan, figures, report.extra);
  Journal(session.directory()).finish(stage, key);
  // What fit has kept may spare a later one with other conditions work; the others' is of no more use. What a
  // kill in between leaves is little, and goes when the stage is next begun.
  if (stage != "fit") discard_cache(session.directory(), stage);
  TuningCache().save(stage, session.tuning());
  session.observer().log(
      LogLevel::kInfo,
      fmt::format("{}: {} rows in {:.1f} s, peak memory {} (planned {}, budget {})", stage, report.plan.rows,
                  figures.seconds, core::format_bytes(figures.peak_rss_bytes),
                  core::format_bytes(report.plan.peak_memory_bytes),
                  core::format_bytes(session.memory().bytes())));
  return StageOutcome::kDone;
}

void require_stage(const Session& session, const std::string& stage, const std::string& expected) {
  const Journal journal(session.directory());
  if (journal.done(stage, expected)) return;
  if (journal.key(stage) == expected) {
    throw Error(ErrorKind::kStorage,
                fmt::format("is not as `phase0 {0}` left it; run `phase0 {0}` again", stage),
                {journal.changed_file(stage)});
  }
  const bool other = journal.key(stage).has_value();
  throw Error(ErrorKind::kConfig,
              fmt::format("{}: run `phase0 {}` first{}", session.directory().path, stage,
                          other ? ", the one in this folder is of another input or configuration" : ""));
}

}  // namespace phase0::run
