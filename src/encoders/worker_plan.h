#pragma once

#include <cstdint>

namespace phase0::encoders {

/// What one worker's process tree holds: base + slope x batch x length, learnt from what was measured. It
/// never falls under a measurement, so that what has been seen once fits the plan.
class WorkerMemory {
 public:
  /// Right after its hello, with nothing to do.
  void measured_idle(std::int64_t bytes);
  /// The most that was seen while `item_bytes` bytes of items in all, padding to the longest included, were
  /// encoded.
  void measured_busy(std::int64_t bytes, std::int64_t item_bytes);

  std::int64_t base_bytes() const { return base_; }
  double bytes_per_item_byte() const { return slope_; }
  std::int64_t predict(std::int64_t item_bytes) const;
  /// Items of `item_bytes` each that fit `bytes`, at most `ceiling`; at least 1.
  std::int64_t most_items(std::int64_t bytes, std::int64_t item_bytes, std::int64_t ceiling) const;

 private:
  std::int64_t base_ = 0;
  double slope_ = 0;
};

/// How many workers run, and what each may hold.
struct WorkerPlan {
  std::int64_t n_workers = 1;
  std::int64_t bytes_per_worker = 0;
};

struct WorkerRequest {
  std::int64_t n_wanted = 0;      ///< 0: auto
  std::int64_t budget_bytes = 0;  ///< of all workers together
  std::int64_t n_cores = 1;       ///< physical
  std::int64_t threads_per_worker = 1;
  std::int64_t n_sequences = 1;  ///< more workers than these have nothing to do
};

/// Workers and memory together: as many as were asked for, `auto` as many as there are cores for, and no more
/// than hold one item of `item_bytes` each. Throws Error (kMemory) that names the smallest budget when not
/// even one does.
WorkerPlan plan_workers(const WorkerRequest& request, const WorkerMemory& memory, std::int64_t item_bytes);

}  // namespace phase0::encoders
