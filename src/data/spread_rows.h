#pragma once

#include <cstdint>
#include <vector>

#include "data/feature_source.h"

namespace phase0::data {

/// Up to 64 rows (fewer, but 8, where they are longer than 16 KiB), spread evenly over all of a source of
/// window 1: [n, d]. The same for the same source.
std::vector<float> spread_rows(const FeatureSource& rows);

/// The median of every column of `rows` [n, d], which a few far rows do not move; zeros without rows.
std::vector<float> column_medians(const std::vector<float>& rows, std::int64_t d);

}  // namespace phase0::data
