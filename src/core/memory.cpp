#include "core/memory.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "core/proc_files.h"
#include "phase0/error.h"

namespace phase0::core {
namespace {

constexpr std::int64_t kUnlimited = std::int64_t{1} << 60;

std::int64_t read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : kUnlimited;
}

/// The least memory.max of the process's v2 group and its ancestors.
std::int64_t cgroup_v2_limit() {
  std::int64_t limit = kUnlimited;
  const std::filesystem::path root("/sys/fs/cgroup");
  std::filesystem::path group = root / std::filesystem::path(cgroup_path("")).relative_path();
  while (group.native().size() >= root.native().size()) {
    limit = std::min(limit, read_number(group / "memory.max"));
    if (group == root || !group.has_relative_path()) break;
    group = group.parent_path();
  }
  return limit;
}

std::int64_t cgroup_v1_limit() {
  const std::filesystem::path root("/sys/fs/cgroup/memory");
  for (const auto& group : {root / std::filesystem::path(cgroup_path("memory")).relative_path(), root}) {
    std::ifstream file(group / "memory.stat");
    std::string name;
    std::int64_t value = 0;
    while (file >> name >> value) {
      if (name == "hierarchical_memory_limit") return value;
    }
  }
  return kUnlimited;
}

std::int64_t resource_limit(decltype(RLIMIT_AS) resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  return static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, kUnlimited));
}

}  // namespace

AvailableMemory available_memory() {
  AvailableMemory result{kUnlimited, "nothing known"};
  const auto consider = [&result](std::int64_t bytes, const char* source) {
    if (bytes >= 0 && bytes < result.bytes) result = {bytes, source};
  };
  consider(proc_kb("/proc/meminfo", "MemAvailable"), "MemAvailable");
  consider(cgroup_v1_limit(), "cgroup v1 hierarchical_memory_limit");
  consider(cgroup_v2_limit(), "cgroup v2 memory.max");
  consider(resource_limit(RLIMIT_DATA), "RLIMIT_DATA");
  consider(resource_limit(RLIMIT_AS), "RLIMIT_AS");
  return result;
}

std::int64_t peak_rss_bytes() {
  return proc_kb("/proc/self/status", "VmHWM");
}
std::int64_t current_rss_bytes() {
  return proc_kb("/proc/self/status", "VmRSS");
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

MemoryBudget MemoryBudget::from_options(const MemoryOptions& options) {
  if (options.budget_bytes) return {*options.budget_bytes, "given"};
  const AvailableMemory available = available_memory();
  const double percent = options.budget_percent.value_or(50.0);
  const auto bytes = static_cast<std::int64_t>(static_cast<double>(available.bytes) * percent / 100.0);
  return {bytes, fmt::format("{:g} % of {} ({})", percent, format_bytes(available.bytes), available.source)};
}

}  // namespace phase0::core
