#pragma once

#include <cstdint>
#include <memory>

#include "core/scan_room.h"
#include "data/feature_source.h"
#include "models/kmeans.h"
#include "store/mapped.h"

namespace phase0::models {

/// Copies of the rows that k-means goes over many times.

/// A copy in memory of `n` rows (a seeded sample, or all); none when memory runs out all the same.
std::unique_ptr<data::FeatureSource> keep_rows(const data::FeatureSource& source, std::int64_t n,
                                               const KMeansTask& task, core::Execution& execution);
/// The same in a scratch file, of which the caller checks in the end that all was written.
store::MappedDataset gather_rows(const data::FeatureSource& source, std::int64_t n, const KMeansTask& task,
                                 core::Execution& execution);

/// Memory of copying `n` rows, that of a copy in memory apart, which is kept_bytes().
core::ScanNeed copying_need(const data::SourceShape& rows, std::int64_t n);
std::int64_t kept_bytes(const data::SourceShape& rows);

}  // namespace phase0::models
