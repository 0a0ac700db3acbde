#pragma once

#include "run/stage_plan.h"
#include "run/work.h"

namespace phase0::run {

/// One PCA per group of lags, then scores of both splits for every number of components.
void add_pca_work(const Session& session, const Workload& workload, const FitParts& parts, Work& work);

}  // namespace phase0::run
