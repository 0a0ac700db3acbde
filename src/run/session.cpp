#include "run/session.h"

#include <fmt/format.h>

#include "linalg/kernels.h"

namespace phase0::run {
namespace {

Options validated(const Options& options) {
  options.validate();
  return options;
}

int thread_count(const ComputeOptions& compute) {
  return compute.threads > 0 ? static_cast<int>(compute.threads) : core::available_threads();
}

}  // namespace

Session::Session(const Options& options, Observer& observer)
    : options_(validated(options)),
      directory_{options.output.dir},
      kernels_(linalg::select_kernels(options.compute.kernels).name),
      memory_(core::MemoryBudget::from_options(options.memory)),
      pool_(thread_count(options.compute)),
      execution_{pool_, memory_, observer} {
  observer.log(LogLevel::kDebug,
               fmt::format("memory budget {} ({}), {} thread(s), {} kernels",
                           core::format_bytes(memory_.bytes()), memory_.source(), pool_.size(), kernels_));
}

void Session::require_memory(const std::string& stage, std::int64_t minimum_bytes) const {
  if (minimum_bytes <= memory_.bytes()) return;
  // Rounded up so that the figure, given back as --memory, is accepted.
  const std::int64_t mebibytes = (minimum_bytes >> 20) + 1;
  throw Error(ErrorKind::kMemory,
              fmt::format("the memory budget of {} is too small for {}; the smallest that works is {}MiB "
                          "(fewer threads, smaller k or fewer permutations need less)",
                          core::format_bytes(memory_.bytes()), stage, mebibytes));
}

}  // namespace phase0::run
