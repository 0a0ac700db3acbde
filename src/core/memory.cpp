#include "core/memory.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "core/cgroup.h"
#include "core/memory_groups.h"
#include "phase0/error.h"

namespace phase0::core {
namespace {

/// The least of what was considered, and where it came from.
class Least {
 public:
  void consider(std::int64_t bytes, const std::string& source) {
    if (bytes >= least_.bytes) return;
    least_ = {std::max<std::int64_t>(bytes, 0), source};
  }
  const AvailableMemory& get() const { return least_; }

 private:
  AvailableMemory least_{kUnlimitedBytes, "nothing known"};
};

void consider_resource(decltype(RLIMIT_AS) resource, const char* name, Least& least) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  least.consider(static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, kUnlimitedBytes)), name);
}

/// What the machine and the control groups leave free.
Least least_of_machine(const SystemFiles& files) {
  Least least;
  const auto machine = read_kibibytes(files.at("/proc/meminfo"), "MemAvailable");
  if (machine) least.consider(*machine, "MemAvailable");
  for (const GroupMemory& group : MemoryGroups(files).read()) {
    least.consider(group.limit_bytes - group.held_bytes, group.source);
  }
  return least;
}

}  // namespace

AvailableMemory available_memory(const SystemFiles& files) {
  Least least = least_of_machine(files);
  consider_resource(RLIMIT_DATA, "RLIMIT_DATA", least);
  consider_resource(RLIMIT_AS, "RLIMIT_AS", least);
  return least.get();
}

std::int64_t page_cache_bytes(std::int64_t budget_bytes, const SystemFiles& files) {
  return std::max<std::int64_t>(least_of_machine(files).get().bytes - budget_bytes, 0);
}

std::int64_t peak_rss_bytes() {
  return read_kibibytes("/proc/self/status", "VmHWM").value_or(-1);
}
std::int64_t current_rss_bytes() {
  return read_kibibytes("/proc/self/status", "VmRSS").value_or(-1);
}

bool reset_peak_rss() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return static_cast<bool>(file);
}

void trim_heap() {
  malloc_trim(0);
}

std::string format_bytes(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  int unit = -1;
  while (value >= 1024 && unit < 3) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Reservation::Reservation(MemoryBudget& budget, std::int64_t bytes, const std::string& purpose)
    : budget_(&budget), bytes_(bytes) {
  const std::int64_t total = budget.reserved_.fetch_add(bytes) + bytes;
  if (total > budget.bytes_ - MemoryBudget::kBaseBytes) {
    budget.reserved_.fetch_sub(bytes);
    budget_ = nullptr;
    throw Error(ErrorKind::kMemory,
                fmt::format("the memory budget of {} is too small: {} needs {} and {} of {} are in use; "
                            "the smallest budget that works is {}",
                            format_bytes(budget.bytes_), purpose, format_bytes(bytes),
                            format_bytes(total - bytes + MemoryBudget::kBaseBytes),
                            format_bytes(budget.bytes_), format_bytes(total + MemoryBudget::kBaseBytes)));
  }
}

Reservation::~Reservation() {
  if (budget_ != nullptr) budget_->reserved_.fetch_sub(bytes_);
}

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MemoryBudget MemoryBudget::from_options(const MemoryOptions& options, const SystemFiles& files) {
  if (options.budget_bytes) return {*options.budget_bytes, "given"};
  const AvailableMemory available = available_memory(files);
  const double percent = options.budget_percent.value_or(50.0);
  const auto bytes = static_cast<std::int64_t>(static_cast<double>(available.bytes) * percent / 100.0);
  return {bytes, fmt::format("{:g} % of {} ({})", percent, format_bytes(available.bytes), available.source)};
}

}  // namespace phase0::core
