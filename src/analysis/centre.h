#pragma once

#include <vector>

#include "data/feature_source.h"

namespace phase0::analysis {

/// Medians [D] of a few hundred evenly spaced rows, which far rows do not move; the same for the same source.
/// Every figure of the analysis is the same for moved rows, and sums of squares of rows near zero keep the
/// digits that a split far from the train mean would lose.
std::vector<double> centre_of(const data::FeatureSource& rows);

}  // namespace phase0::analysis
