#include "models/kmeans_progress.h"

#include <algorithm>
#include <iterator>

#include "core/check.h"
#include "models/model_units.h"

namespace phase0::models {
namespace {

void put(core::ByteSink& sink, const LloydRun& run) {
  sink.put(run.restart);
  sink.put_all(run.centroids);
  sink.put_all(run.counts);
  sink.put(run.inertia);
  sink.put(run.n_iter);
  models::put(sink, run.history);
}

LloydRun get_run(core::ByteSource& source) {
  LloydRun run;
  run.restart = source.get<std::int64_t>();
  run.centroids = source.get_all<float>();
  run.counts = source.get_all<std::int64_t>();
  run.inertia = source.get<double>();
  run.n_iter = source.get<std::int64_t>();
  run.history = get_history(source);
  return run;
}

std::vector<LloydRun> get_runs(core::ByteSource& source) {
  std::vector<LloydRun> runs;
  for (auto n = source.get<std::int64_t>(); n > 0; --n) runs.push_back(get_run(source));
  return runs;
}

}  // namespace

KMeansProgress::KMeansProgress(core::UnitStore* store, core::UnitId unit, std::int64_t most_runs)
    : checkpoint_(store, std::move(unit)) {
  resumed = checkpoint_.load([this](core::ByteSource& source) { load(source); });
  if (step == Step::kRestarts && std::ssize(waiting) > most_runs) {
    next_restart = waiting[static_cast<std::size_t>(most_runs)].restart;
    waiting.resize(static_cast<std::size_t>(most_runs));
  }
}

void KMeansProgress::begin_group(std::int64_t together) {
  PHASE0_CHECK(group.empty() && !waiting.empty());
  const auto end = waiting.begin() + std::min(together, std::ssize(waiting));
  group.assign(std::make_move_iterator(waiting.begin()), std::make_move_iterator(end));
  waiting.erase(waiting.begin(), end);
}

void KMeansProgress::save_when_due() {
  checkpoint_.save_when_due([this](core::ByteSink& sink) { save(sink); });
}

void KMeansProgress::save(core::ByteSink& sink) const {
  sink.put(step);
  sink.put(next_restart);
  sink.put(std::ssize(group) + std::ssize(waiting));
  for (const LloydRun& run : group) put(sink, run);
  for (const LloydRun& run : waiting) put(sink, run);
  sink.put(std::ssize(done));
  for (const LloydRun& run : done) put(sink, run);
  sink.put(leader);
  models::put(sink, history);
}

void KMeansProgress::load(core::ByteSource& source) {
  const auto kept_step = source.get<Step>();
  const auto kept_restart = source.get<std::int64_t>();
  std::vector<LloydRun> kept_waiting = get_runs(source);
  std::vector<LloydRun> kept_done = get_runs(source);
  const auto kept_leader = source.get<std::int64_t>();
  history = get_history(source);  // the last to be read: from here on nothing throws
  leader = kept_leader;
  step = kept_step;
  next_restart = kept_restart;
  waiting = std::move(kept_waiting);
  done = std::move(kept_done);
}

}  // namespace phase0::models
