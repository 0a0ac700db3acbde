#pragma once

#include <string>

#include "phase0/options.h"
#include "phase0/results.h"

namespace phase0::report {

/// metrics.json: a list of one object per condition, lag and slice.
std::string metrics_json(const AnalysisResult& result);
/// decision.json: the verdict, the reasons per condition, and the thresholds they rest on.
std::string decision_json(const Options& options, const Decision& decision);

}  // namespace phase0::report
