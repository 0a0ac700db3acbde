#include "run/session.h"

#include <fmt/format.h>

#include "core/check.h"
#include "linalg/kernels.h"
#include "run/tuning_cache.h"
#include "store/atomic_file.h"

namespace phase0::run {
namespace {

Options validated(const Options& options) {
  options.validate();
  return options;
}

}  // namespace

int thread_count(const ComputeOptions& compute) {
  return compute.threads > 0 ? static_cast<int>(compute.threads) : core::available_threads().count;
}

Session::Session(const Options& options, Observer& observer, RunLock* lock)
    : options_(validated(options)),
      directory_{options.output.dir},
      lock_(lock != nullptr ? lock : &own_lock_),
      kernels_(linalg::select_kernels(options.compute.kernels).name),
      memory_(core::MemoryBudget::from_options(options.memory)),
      pool_(thread_count(options.compute)),
      execution_{pool_, memory_, observer} {
  execution_.page_cache_bytes = core::page_cache_bytes(memory_.bytes());
  observer.log(LogLevel::kDebug,
               fmt::format("memory budget {} ({}), {} thread(s), {} kernels",
                           core::format_bytes(memory_.bytes()), memory_.source(), pool_.size(), kernels_));
}

void Session::begin_stage(const std::string& stage) {
  core::trim_heap();
  stage_ = stage;
  tuning_ = TuningCache().load(stage);
  monitor_.emplace(memory_.bytes());
  execution_.tuning = &tuning_;
  execution_.monitor = &*monitor_;
}

void Session::end_stage() {
  execution_.monitor = nullptr;
  execution_.tuning = nullptr;
  execution_.units = nullptr;
  cache_.reset();
  monitor_.reset();
}

void Session::keep_units(const RunFlags& flags) {
  PHASE0_CHECK(*lock_);
  cache_.emplace(directory_, stage_, flags.checkpoint_seconds, flags.fresh, observer());
  execution_.units = &*cache_;
}

void Session::announce(std::int64_t planned_bytes) {
  if (monitor_) monitor_->set_planned_bytes(planned_bytes);
}

void Session::lock_directory() {
  if (*lock_) return;
  store::create_folders(directory_.path);
  *lock_ = RunLock(directory_.path);
}

}  // namespace phase0::run
