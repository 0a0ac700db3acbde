#include "models/kmeans_lane.h"

#include "models/kmeans_rows.h"

namespace phase0::models {

KMeansLane::KMeansLane(const KMeansFit& of, std::int64_t its_number, const KMeansPlan& plan,
                       core::Execution& execution)
    : fit(of),
      number(its_number),
      copy(plan.rows_kept ? keep_rows(of.rows, of.rows.n_rows(), of.task, execution) : nullptr),
      progress(execution.units, of.task.progress, plan.restarts_together,
               {of.task.k, of.rows.frame_dim(), of.task.options.n_init, plan.scheme.sampled}) {}

JoinedLanes::JoinedLanes(const KMeansLanes& lanes, const KMeansJoin& join)
    : rows_(&lanes[0]->data->rows), label_(lanes[0]->fit.task.label) {
  if (lanes.size() == 1) return;
  std::vector<std::int64_t> numbers;
  for (const KMeansLane* lane : lanes) numbers.push_back(lane->number);
  joined_ = join.rows(numbers);
  rows_ = joined_.get();
  label_ = join.label(numbers);
}

void iterate(const KMeansLanes& lanes, LloydTask task, const std::string& doing,
             const KMeansTogether& together, core::Execution& execution) {
  const KMeansTask& of_fits = lanes[0]->fit.task;
  task.k = of_fits.k;
  task.options = of_fits.options;
  task.scratch_folder = of_fits.scratch_folder;
  const JoinedLanes joined(lanes, together.join);
  task.label = joined.label() + ": " + doing;
  task.iterated = [&] {
    for (KMeansLane* lane : lanes) lane->progress.save_when_due();
  };
  std::vector<LloydLane> runs;
  for (KMeansLane* lane : lanes) runs.push_back({*lane->data, lane->progress.group});
  run_lloyd(joined.rows(), runs, task, execution);
}

}  // namespace phase0::models
