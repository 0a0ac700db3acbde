#include <algorithm>

#include "phase0/pipeline.h"
#include "run/advice.h"
#include "run/cache_folder.h"
#include "run/calibration.h"
#include "run/input_path.h"
#include "run/plan_work.h"
#include "run/stage_plan.h"
#include "store/atomic_file.h"
#include "store/file_system.h"

namespace phase0 {
namespace {

void set_seconds(run::Session& session, const run::Workload& workload, const std::string& input_path,
                 std::vector<StagePlan>& stages) {
  const auto folder = run::cache_folder();
  const auto rates =
      run::calibration(session, input_path, folder ? *folder + "/calibration.json" : std::string());
  if (!rates) return;
  const run::Work works[] = {run::collect_work(session, workload), run::fit_work(session, workload),
                             run::analyze_work(session, workload, stages.at(2).passes_max)};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const run::Range seconds = run::seconds_of(works[i], *rates);
    stages[i].seconds_min = seconds.min;
    stages[i].seconds_estimate = seconds.expected;
    stages[i].seconds_max = seconds.max;
  }
}

}  // namespace

namespace run {

std::vector<StagePlan> plan_stages(const Session& session, const Workload& workload) {
  return {plan_collect(session, workload), plan_fit(session, workload), plan_analyze(session, workload)};
}

std::int64_t minimum_bytes(const std::vector<StagePlan>& stages) {
  std::int64_t bytes = 0;
  for (const StagePlan& stage : stages) bytes = std::max(bytes, stage.minimum_memory_bytes);
  return bytes;
}

std::int64_t disk_bytes(const std::vector<StagePlan>& stages) {
  std::int64_t bytes = 0;
  for (const StagePlan& stage : stages) bytes += stage.disk_bytes;
  return bytes;
}

}  // namespace run

Plan plan(const Options& options, Observer& observer) {
  run::Session session(options, observer);
  run::require_encoded(options);
  const data::Latents latents = data::Latents::open(run::input_path(options));
  const std::vector<std::uint8_t> none(latents.utterances().size(), 0);
  const data::SplitPlan splits =
      data::plan_splits(options, latents.utterances(), latents.frame_rate_hz(), none, observer);
  const run::Workload workload = run::measure(options, latents, splits);
  run::check_against_input(options, latents, workload);
  store::check_can_create_folders(session.directory().path);
  Plan plan;
  plan.budget_bytes = session.memory().bytes();
  plan.budget_source = session.memory().source();
  plan.threads = session.threads();
  plan.disk_free_bytes = store::free_disk_bytes(session.directory().path);
  plan.disk_replaced_bytes = run::replaced_bytes(session, "collect");
  plan.n_train = workload.n_train;
  plan.n_eval = workload.n_eval;
  plan.storage = to_string(workload.storage);
  plan.stages = run::plan_stages(session, workload);
  plan.minimum_memory_bytes = run::minimum_bytes(plan.stages);
  plan.disk_bytes = run::disk_bytes(plan.stages);
  set_seconds(session, workload, latents.path(), plan.stages);
  if (plan.minimum_memory_bytes > plan.budget_bytes) {
    const auto minimum = [&](const run::Session& changed) {
      return run::minimum_bytes(run::plan_stages(changed, run::measure(changed.options(), latents, splits)));
    };
    plan.changes = run::ways_to_less_memory(session, minimum, run::ChangeableFrom::kCollect);
  }
  return plan;
}

std::string memory_error(const Plan& plan) {
  return run::memory_error(plan.minimum_memory_bytes, plan.budget_bytes, plan.changes);
}

}  // namespace phase0
