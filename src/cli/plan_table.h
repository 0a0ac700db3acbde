#pragma once

#include <string>

#include "phase0/pipeline.h"

namespace phase0::cli {

/// A plan for people: the budget, what each stage moves, its time, its memory with the largest parts, and
/// what to change when the budget is too small. Within 100 columns.
std::string plan_table(const Plan& plan);

/// The same for programs (data/FORMAT.md, "The plan").
std::string plan_json(const Plan& plan);

}  // namespace phase0::cli
