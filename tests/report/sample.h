#pragma once

#include "phase0/options.h"
#include "phase0/results.h"
#include "report/write.h"

namespace phase0::report {

/// A made-up experiment with figures of realistic size, the same at every call.
struct Sample {
  Options options;
  AnalysisResult result;
  RunFacts facts;
};
Sample make_sample(std::int64_t n_train_speakers = 200, std::int64_t n_eval_speakers = 51);

}  // namespace phase0::report
