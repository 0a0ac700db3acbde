#include "models/kmeans_progress.h"

#include <algorithm>
#include <iterator>

#include "core/check.h"
#include "core/checked.h"
#include "models/model_units.h"
#include "phase0/error.h"

namespace phase0::models {
template <class Visit, core::Like<LloydRun> T>
void each_field(Visit& visit, T& run) {
  visit(run.restart, run.centroids, run.counts, run.inertia, run.n_iter, run.history);
}

namespace {

[[noreturn]] void refuse() {
  throw Error(ErrorKind::kStorage, "is not the progress of this k-means");
}

/// Runs of the shape, of restarts that were begun.
void check_runs(const std::vector<LloydRun>& runs, const KMeansShape& shape, std::int64_t n_begun) {
  if (n_begun < 0 || n_begun > shape.n_init) refuse();
  for (const LloydRun& run : runs) {
    const bool counted = run.counts.empty() || std::ssize(run.counts) == shape.k;
    const bool of_shape = counted && std::ssize(run.centroids) == core::checked_mul(shape.k, shape.d);
    if (!of_shape || run.restart < 0 || run.restart >= n_begun || run.n_iter < 0) refuse();
  }
}

/// Restarts that are not begun. Whether the rows are there is for the seeding to see.
void check_seeding(const std::vector<SeedingRun>& seeding, const KMeansShape& shape, std::int64_t n_begun) {
  if (std::ssize(seeding) > shape.n_init - n_begun) refuse();
  for (const SeedingRun& run : seeding) {
    if (run.empty() || std::ssize(run) > shape.k) refuse();
    if (!std::all_of(run.begin(), run.end(), [](const SeedingStep& step) { return step.random.sound(); }))
      refuse();
  }
}

/// What each step goes on from.
void check_step(KMeansProgress::Step step, const std::vector<SeedingRun>& seeding,
                const std::vector<LloydRun>& waiting, const std::vector<LloydRun>& done,
                std::int64_t leader) {
  using Step = KMeansProgress::Step;
  const auto begun = [](const LloydRun& run) { return !run.history.empty(); };
  bool sound = false;
  if (step == Step::kRestarts) sound = !seeding.empty() || !waiting.empty() || !done.empty();
  if (step == Step::kRace) {
    sound = !waiting.empty() && std::all_of(done.begin(), done.end(), begun);
  }
  if (step == Step::kLast) sound = waiting.size() == 1 && leader >= 0 && leader < std::ssize(done);
  // Nobody is seeded while others wait.
  if (!seeding.empty() && (step != Step::kRestarts || !waiting.empty())) sound = false;
  if (!sound) refuse();
}

}  // namespace

KMeansProgress::KMeansProgress(core::UnitStore* store, core::UnitId unit, std::int64_t most_runs,
                               const KMeansShape& shape)
    : checkpoint_(store, std::move(unit)), shape_(shape) {
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

/// `group` and `waiting` are kept as one list: those that wait for their turn.
void KMeansProgress::save(core::ByteSink& sink) const {
  core::FieldWriter write(sink);
  write(step, next_restart, std::ssize(group) + std::ssize(waiting));
  for (const LloydRun& run : group) write(run);
  for (const LloydRun& run : waiting) write(run);
  write(done, leader, history, seeding);
}

void KMeansProgress::load(core::ByteSource& source) {
  Step kept_step{};
  std::int64_t kept_restart = 0;
  std::int64_t kept_leader = 0;
  std::vector<LloydRun> kept_waiting;
  std::vector<LloydRun> kept_done;
  std::vector<KMeansIteration> kept_history;
  std::vector<SeedingRun> kept_seeding;
  core::FieldReader read(source);
  read(kept_step, kept_restart, kept_waiting, kept_done, kept_leader, kept_history, kept_seeding);
  if (source.remaining() != 0) refuse();
  check_runs(kept_waiting, shape_, kept_restart);
  // Behind a race only what those runs have been through is of use.
  if (kept_step != Step::kLast) check_runs(kept_done, shape_, kept_restart);
  check_seeding(kept_seeding, shape_, kept_restart);
  if (!shape_.sampled && kept_step != Step::kRestarts) refuse();
  check_step(kept_step, kept_seeding, kept_waiting, kept_done, kept_leader);
  seeding = std::move(kept_seeding);
  history = std::move(kept_history);
  leader = kept_leader;
  step = kept_step;
  next_restart = kept_restart;
  waiting = std::move(kept_waiting);
  done = std::move(kept_done);
}

}  // namespace phase0::models
