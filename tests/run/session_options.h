#pragma once

#include <string>

#include "phase0/options.h"

namespace phase0::test {

/// Small options that are valid; `budget_bytes` 0 is auto.
inline Options session_options(const std::string& run_dir, std::int64_t budget_bytes = 0) {
  Options options;
  options.data.latents = "latents.h5";
  options.splits.n_train_speakers = 2;
  options.splits.n_eval_speakers = 1;
  options.context.window_size = 4;
  options.context.lags = {1};
  options.clustering.kmeans.n_init = 2;
  options.clustering.kmeans.max_iter = 10;
  options.clustering.kmeans.restarts_on = RestartsOn::kAll;
  options.clustering.conditions = {{"vq", ConditionType::kMeanPoolVq, 64, 0},
                                   {"bins", ConditionType::kPcaQuartile, 0, 3}};
  options.compute.threads = 2;
  options.output.dir = run_dir;
  if (budget_bytes > 0) options.memory.budget_bytes = budget_bytes;
  return options;
}

}  // namespace phase0::test
