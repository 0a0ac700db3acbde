#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "core/memory.h"
#include "core/scan_need.h"
#include "phase0/pipeline.h"
#include "run/session.h"

namespace phase0::run {

/// The largest of several needs that do not add up, beside what the stage holds all the time.
class Peak {
 public:
  /// `files_bytes`: of the run directory, where it lies in memory.
  Peak(const Session& session, std::int64_t held_bytes, std::int64_t files_bytes)
      : threads_(session.threads()),
        held_(held_bytes),
        files_(files_bytes),
        free_(session.memory().bytes() - core::MemoryBudget::kBaseBytes - held_bytes - files_bytes) {}

  std::int64_t free_bytes() const { return free_; }
  int threads() const { return threads_; }
  void consider(const std::string& name, std::int64_t bytes, std::int64_t minimum) {
    minimum_ = std::max(minimum_, minimum);
    if (bytes <= bytes_) return;
    bytes_ = bytes;
    name_ = name;
  }
  /// `most_workers`: that the scan uses of the threads.
  void consider(const std::string& name, const core::ScanNeed& need, std::int64_t n_blocks,
                int most_workers = std::numeric_limits<int>::max()) {
    consider(name, core::planned_bytes(need, n_blocks, std::min(threads_, most_workers), free_),
             need.minimum_bytes());
  }
  void fill(StagePlan& plan) const {
    plan.memory = {
        {"program", core::MemoryBudget::kBaseBytes}, {"row index and models", held_}, {name_, bytes_}};
    if (files_ > 0) plan.memory.push_back({"output on tmpfs", files_});
    plan.output_in_memory_bytes = files_;
    const std::int64_t always = core::MemoryBudget::kBaseBytes + held_ + files_;
    plan.peak_memory_bytes = always + bytes_;
    plan.minimum_memory_bytes = always + minimum_;
  }

 private:
  int threads_;
  std::int64_t held_;
  std::int64_t files_;
  std::int64_t free_;
  std::string name_ = "blocks in flight";
  std::int64_t bytes_ = 0;
  std::int64_t minimum_ = 0;
};

}  // namespace phase0::run
