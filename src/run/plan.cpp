#include "phase0/pipeline.h"
#include "run/stage_plan.h"
#include "store/atomic_file.h"

namespace phase0 {

Plan plan(const Options& options, Observer& observer) {
  const run::Session session(options, observer);
  const data::Latents latents = data::Latents::open(options.data.latents);
  const std::vector<std::uint8_t> none(latents.utterances().size(), 0);
  const data::SplitPlan splits =
      data::plan_splits(options, latents.utterances(), latents.frame_rate_hz(), none, observer);
  const run::Workload workload = run::measure(options, latents, splits);
  run::check_against_input(options, latents, workload);
  Plan plan;
  plan.budget_bytes = session.memory().bytes();
  plan.budget_source = session.memory().source();
  plan.disk_free_bytes = store::free_disk_bytes(session.directory().path);
  plan.n_train = workload.n_train;
  plan.n_eval = workload.n_eval;
  plan.storage = to_string(workload.storage);
  plan.stages = {run::plan_collect(session, workload), run::plan_fit(session, workload),
                 run::plan_analyze(session, workload)};
  return plan;
}

}  // namespace phase0
