#pragma once

#include <string>

#include "phase0/pipeline.h"

namespace phase0::cli {

/// A plan for people: the budget, a table of stages, and the largest parts of each stage's memory.
std::string plan_table(const Plan& plan);

/// The same for programs: the fields of Plan by their names.
std::string plan_json(const Plan& plan);

/// The stage that needs the most memory at least, or null when the budget is enough for all.
const StagePlan* stage_over_budget(const Plan& plan);

}  // namespace phase0::cli
