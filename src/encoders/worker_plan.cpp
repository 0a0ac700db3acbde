#include "encoders/worker_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/memory.h"
#include "phase0/error.h"

namespace phase0::encoders {

void WorkerMemory::measured_idle(std::int64_t bytes) {
  base_ = std::max(base_, bytes);
}

void WorkerMemory::measured_busy(std::int64_t bytes, std::int64_t item_bytes) {
  if (item_bytes <= 0) return measured_idle(bytes);
  slope_ = std::max(slope_, static_cast<double>(bytes - base_) / static_cast<double>(item_bytes));
}

std::int64_t WorkerMemory::predict(std::int64_t item_bytes) const {
  return base_ + static_cast<std::int64_t>(std::ceil(slope_ * static_cast<double>(item_bytes)));
}

std::int64_t WorkerMemory::most_items(std::int64_t bytes, std::int64_t item_bytes,
                                      std::int64_t ceiling) const {
  PHASE0_CHECK(ceiling >= 1);
  const double per_item = slope_ * static_cast<double>(item_bytes);
  if (!(per_item > 0)) return ceiling;
  const double fitting = static_cast<double>(bytes - base_) / per_item;
  return static_cast<std::int64_t>(std::clamp(std::floor(fitting), 1.0, static_cast<double>(ceiling)));
}

WorkerPlan plan_workers(const WorkerRequest& request, const WorkerMemory& memory, std::int64_t item_bytes) {
  PHASE0_CHECK(request.n_cores >= 1 && request.threads_per_worker >= 1 && request.n_sequences >= 1);
  const std::int64_t least = std::max<std::int64_t>(1, memory.predict(item_bytes));
  if (least > request.budget_bytes) {
    throw Error(ErrorKind::kMemory,
                fmt::format("one encoder needs {}, and {} are left for it", core::format_bytes(least),
                            core::format_bytes(std::max<std::int64_t>(0, request.budget_bytes))));
  }
  std::int64_t n_workers = request.n_wanted;
  if (n_workers == 0) n_workers = std::max<std::int64_t>(1, request.n_cores / request.threads_per_worker);
  n_workers = std::min({n_workers, request.n_sequences, request.budget_bytes / least});
  return {n_workers, request.budget_bytes / n_workers};
}

}  // namespace phase0::encoders
