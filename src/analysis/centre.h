#pragma once

#include <vector>

#include "data/feature_source.h"

namespace phase0::analysis {

/// Mean [D] of a few thousand evenly spaced rows; the same for the same source. Every figure of the analysis
/// is the same for moved rows, and sums of squares of rows near zero keep the digits that a split far from
/// the train mean would lose.
std::vector<double> centre_of(const data::FeatureSource& rows);

}  // namespace phase0::analysis
