#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "core/clock.h"
#include "data/features_file.h"
#include "phase0/pipeline.h"
#include "run/advice.h"
#include "run/encode_source.h"
#include "run/input_path.h"
#include "run/journal.h"
#include "run/provenance.h"
#include "run/stage.h"
#include "run/stage_plan.h"
#include "store/atomic_file.h"

namespace phase0 {
namespace {

run::InputFacts input_facts(const data::Latents& latents) {
  run::InputFacts facts;
  struct stat info {};
  if (stat(latents.path().c_str(), &info) == 0) {
    facts.bytes = info.st_size;
    facts.mtime_ns = info.st_mtim.tv_sec * std::int64_t{1000000000} + info.st_mtim.tv_nsec;
  }
  facts.path = latents.path();
  facts.dtype = latents.codec().name();
  facts.n_frames = latents.n_frames();
  facts.dim = latents.dim();
  facts.n_utterances = std::ssize(latents.utterances());
  facts.frame_rate_hz = latents.frame_rate_hz();
  return facts;
}

void keep_units(run::Session& session, const RunFlags& flags) {
  session.lock_directory();
  session.keep_units(flags);
}

/// Utterances that data.non_finite drops, from a pass over all values or from what is kept of an earlier one.
class NonFinite {
 public:
  NonFinite(run::Session& session, const data::Latents& latents, const std::string& key)
      : unit_{"collect: non-finite values", key} {
    core::UnitStore* units = session.execution().units;
    dropped_.resize(latents.utterances().size());
    kept_ = units != nullptr &&
            units->load(unit_, [&](core::ByteSource& source) { source.get_into(std::span(dropped_)); });
    if (kept_) {
      session.observer().log(LogLevel::kInfo, "checking input: done by an earlier start");
      return;
    }
    const double begin = core::now_seconds();
    dropped_ = data::find_non_finite(latents, session.options().data.non_finite, session.execution());
    seconds_ = core::now_seconds() - begin;
  }
  const std::vector<std::uint8_t>& dropped() const { return dropped_; }
  /// When it took long enough.
  void keep(core::UnitStore& units) const {
    if (kept_ || seconds_ < units.interval_seconds()) return;
    units.save(unit_, [&](core::ByteSink& sink) { sink.put_all(dropped_); });
  }

 private:
  core::UnitId unit_;
  double seconds_ = 0;
  bool kept_ = false;
  std::vector<std::uint8_t> dropped_;
};

run::StageReport collect_features(run::Session& session, const RunFlags& flags, const std::string& key) {
  const Options& options = session.options();
  const data::Latents latents = data::Latents::open(run::input_path(options));
  const std::vector<std::uint8_t> none(latents.utterances().size(), 0);
  const auto check = [&](const std::vector<std::uint8_t>& dropped) {
    data::SplitPlan splits = data::plan_splits(options, latents.utterances(), latents.frame_rate_hz(),
                                               dropped, session.observer());
    const run::Workload workload = run::measure(options, latents, splits);
    run::check_against_input(options, latents, workload);
    // Of all stages: better refused now than after hours of fitting.
    run::require_memory(
        session,
        [&](const run::Session& s) {
          return run::minimum_bytes(run::plan_stages(s, run::measure(s.options(), latents, splits)));
        },
        run::ChangeableFrom::kCollect);
    run::require_disk(session, "the run", run::disk_bytes(run::plan_stages(session, workload)),
                      run::replaced_bytes(session, "collect"));
    return std::pair(std::move(splits), workload);
  };
  // These refuse in a moment what would otherwise fail after a pass over all values.
  check(none);
  store::check_can_create_folders(session.directory().path);
  // Before the input is accepted nothing is created: what is kept can only be in a folder that exists.
  const bool exists = std::filesystem::is_directory(session.directory().path);
  if (exists) keep_units(session, flags);
  const NonFinite non_finite(session, latents, key);
  const std::vector<std::uint8_t>& dropped = non_finite.dropped();
  const auto [splits, workload] = check(dropped);
  const StagePlan plan = run::plan_collect(session, workload);
  const core::Reservation held(session.execution().memory, run::index_bytes(workload), "the row index");
  const core::Reservation output(session.execution().memory, plan.output_in_memory_bytes, "output on tmpfs");
  session.announce(plan.peak_memory_bytes);
  if (!exists) keep_units(session, flags);
  run::Journal(session.directory()).begin("collect", flags.fresh);
  non_finite.keep(*session.execution().units);
  run::record_input(session, input_facts(latents));
  data::write_features(session.directory().features(), options, latents, splits, session.execution(), key);
  const auto n_dropped = std::count(dropped.begin(), dropped.end(), std::uint8_t{1});
  return {plan,
          {{"n_train", workload.n_train}, {"n_eval", workload.n_eval}, {"n_dropped_utterances", n_dropped}}};
}

}  // namespace

StageOutcome run::collect(const Options& options, const RunFlags& flags, Observer& observer, RunLock& lock) {
  options.validate();
  run::encode_source(options, flags, observer, lock);
  run::Session session(options, observer, &lock);
  const std::string key = run::collect_key(options);
  return run::run_stage(session, "collect", key, flags.fresh,
                        [&] { return collect_features(session, flags, key); });
}

}  // namespace phase0
