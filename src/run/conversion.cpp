#include "run/conversion.h"

#include <sys/stat.h>

#include <algorithm>

#include "phase0/error.h"

namespace phase0::run {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{8} << 20;

}  // namespace

Conversion::Conversion(const MemoryOptions& options, Observer& observer)
    : observer_(observer), memory_(core::MemoryBudget::from_options(options)), monitor_(memory_.bytes()) {}

void Conversion::check_stop() const {
  if (observer_.stop_requested()) {
    throw Error(ErrorKind::kInterrupted, "interrupted; nothing was written, start again");
  }
  monitor_.check();
}

std::int64_t Conversion::block_bytes(std::int64_t row_bytes, std::int64_t beside) const {
  return std::max(std::min(memory_.free_bytes() - beside, kMostBytes), row_bytes);
}

void refuse_existing(const std::string& path, bool replace) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (S_ISREG(status.st_mode) && replace) return;
  throw Error(ErrorKind::kConfig,
              S_ISREG(status.st_mode) ? "is there already; --force replaces it"
                                      : "is there already, and is not a file that could be replaced",
              {.path = path});
}

void refuse_input(const std::string& output, const std::string& input) {
  struct stat to {};
  struct stat from {};
  const bool both = ::stat(output.c_str(), &to) == 0 && ::stat(input.c_str(), &from) == 0;
  if (output != input && !(both && to.st_dev == from.st_dev && to.st_ino == from.st_ino)) return;
  throw Error(ErrorKind::kConfig, "is the input; it would replace itself", {.path = output});
}

}  // namespace phase0::run
