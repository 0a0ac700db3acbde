#include "run/lag_groups.h"

#include <algorithm>

namespace phase0::run {
namespace {

/// Whether the covariance of a span stays within what that of one context may take.
bool is_small(std::int64_t window, std::int64_t span, std::int64_t dim) {
  const auto w = static_cast<double>(window);
  const auto d = static_cast<double>(dim);
  const double blocks = w * static_cast<double>(span) - w * (w - 1) / 2;
  return blocks * d * d * 8 <= static_cast<double>(models::kMaxAutoCovarianceBytes);
}

}  // namespace

std::vector<LagGroup> pca_lag_groups(const Options& options, Storage storage, std::int64_t dim) {
  const std::int64_t window = options.context.window_size;
  const bool alone =
      storage == Storage::kDense ||
      models::resolve_pca_method(options.clustering.pca_method, window, dim) != PcaMethod::kCovariance;
  LagGroup lags = options.context.lags;
  std::sort(lags.begin(), lags.end());
  std::vector<LagGroup> groups;
  for (const std::int64_t lag : lags) {
    const bool together = !alone && !groups.empty() && lag - groups.back().front() <= window &&
                          is_small(window, window + lag - groups.back().front(), dim);
    if (!together) groups.emplace_back();
    groups.back().push_back(lag);
  }
  return groups;
}

std::int64_t span_of(const LagGroup& group, std::int64_t window) {
  return window + group.back() - group.front();
}

models::PcaTask pca_task(const LagGroup& group, const Options& options, Storage storage, std::int64_t k,
                         const std::string& scratch_folder) {
  models::PcaTask task;
  task.k = k;
  task.window = storage == Storage::kDense ? 1 : options.context.window_size;
  task.starts.clear();
  for (const std::int64_t lag : group) task.starts.push_back(group.back() - lag);
  task.method = options.clustering.pca_method;
  task.scratch_folder = scratch_folder;
  return task;
}

}  // namespace phase0::run
