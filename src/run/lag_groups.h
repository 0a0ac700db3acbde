#pragma once

#include <cstdint>
#include <vector>

#include "models/pca.h"
#include "phase0/options.h"

namespace phase0::run {

/// Lags whose contexts are fitted and scored together, ascending: as they lie at most a window apart, they
/// share most of their frames, and with them the products that a covariance is made of. Their covariance
/// takes at most models::kMaxAutoCovarianceBytes where that of one context does.
using LagGroup = std::vector<std::int64_t>;

/// All lags, each in one group. Those of stored contexts (dense) and of the incremental SVD stand alone.
std::vector<LagGroup> pca_lag_groups(const Options& options, Storage storage, std::int64_t dim);

/// Frames of a row that holds the contexts of all lags of a group.
std::int64_t span_of(const LagGroup& group, std::int64_t window);

/// The contexts of a group's lags, in its order, in rows of its span.
models::PcaTask pca_task(const LagGroup& group, const Options& options, Storage storage, std::int64_t k,
                         const std::string& scratch_folder);

}  // namespace phase0::run
