#include "core/memory_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "core/memory.h"
#include "core/threads.h"
#include "phase0/error.h"

namespace phase0::core {
namespace {

constexpr double kPressureShare = 0.85;
/// Of the cgroup's limit, in memory that cannot be dropped: the kernel's killer is near.
constexpr double kGroupStopShare = 0.97;
constexpr double kStalledPercent = 20;
/// `some avg10=1.23 ...` of a pressure file.
double stalled_share(const std::string& path) {
  std::ifstream file(path);
  std::string kind;
  std::string average;
  if (!(file >> kind >> average) || kind != "some" || !average.starts_with("avg10=")) return -1;
  return std::strtod(average.c_str() + 6, nullptr);
}

double share(std::int64_t part, std::int64_t whole) {
  return part < 0 || whole <= 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Whether the group is full, and would not be without this process.
bool fills_group(const MemoryReading& reading) {
  const std::int64_t others = std::max<std::int64_t>(reading.group_unreclaimable - reading.held(), 0);
  return share(reading.group_unreclaimable, reading.group_limit) > kGroupStopShare &&
         share(others, reading.group_limit) <= kPressureShare;
}

std::string growth(const char* what, std::int64_t before, std::int64_t now) {
  return fmt::format("{} {} (was {})", what, format_bytes(now), format_bytes(before));
}

}  // namespace

MemoryReader::MemoryReader() : groups_(SystemFiles{}), pressure_path_("/proc/pressure/memory") {
  const std::string own = groups_.v2_folder() + "/memory.pressure";
  std::error_code ignored;
  if (!groups_.v2_folder().empty() && std::filesystem::exists(own, ignored)) pressure_path_ = own;
}

MemoryReading MemoryReader::read() const {
  MemoryReading reading;
  const auto own = [](const char* name) { return read_kibibytes("/proc/self/status", name).value_or(0); };
  reading.rss_anon = own("RssAnon");
  reading.rss_file = own("RssFile");
  reading.rss_shmem = own("RssShmem");
  // The group that is nearest to its limit.
  for (const GroupMemory& group : groups_.read()) {
    const std::int64_t left = reading.group_limit - reading.group_unreclaimable;
    if (reading.group_limit >= 0 && group.limit_bytes - group.held_bytes >= left) continue;
    reading.group_limit = group.limit_bytes;
    reading.group_unreclaimable = group.held_bytes;
    reading.group_source = group.source;
  }
  reading.stalled_percent = stalled_share(pressure_path_);
  return reading;
}

MemoryMonitor::MemoryMonitor(std::int64_t budget_bytes)
    : MemoryMonitor(budget_bytes, [reader = MemoryReader()] { return reader.read(); }) {
  thread_ = start_thread([this] { loop(); });
}

MemoryMonitor::MemoryMonitor(std::int64_t budget_bytes, Read read)
    : budget_bytes_(budget_bytes), read_(std::move(read)) {}

MemoryMonitor::~MemoryMonitor() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void MemoryMonitor::sample() {
  const MemoryReading reading = read_();
  const double group = share(reading.group_unreclaimable, reading.group_limit);
  pressure_ = share(reading.rss(), budget_bytes_) > kPressureShare || group > kPressureShare ||
              reading.stalled_percent > kStalledPercent;
  const bool over = over_budget(reading) || fills_group(reading);
  samples_over_ = over ? samples_over_.load() + 1 : 0;
  const std::lock_guard lock(mutex_);
  if (!has_first_) first_ = reading;
  has_first_ = true;
  last_ = reading;
}

void MemoryMonitor::loop() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    lock.unlock();
    try {
      sample();
    } catch (const std::bad_alloc&) {
      pressure_ = true;  // not even a reading fits
    }
    lock.lock();
    wake_.wait_for(lock, kInterval, [this] { return closing_; });
  }
}

void MemoryMonitor::stop() const {
  const std::lock_guard lock(mutex_);
  if (fills_group(last_) && !over_budget(last_)) {
    throw Error(
        ErrorKind::kMemory,
        fmt::format(
            "the memory group that phase0 shares is full ({}): {} of {} in use beside the page cache, "
            "of which phase0 {}; stopped at a block boundary before the kernel kills a process, start "
            "again to resume when others need less, or with a smaller --memory",
            last_.group_source, format_bytes(last_.group_unreclaimable), format_bytes(last_.group_limit),
            format_bytes(last_.held())));
  }
  const std::vector<std::string> parts = {growth("heap", first_.rss_anon, last_.rss_anon),
                                          growth("mapped files", first_.rss_file, last_.rss_file),
                                          growth("shared memory", first_.rss_shmem, last_.rss_shmem)};
  throw Error(
      ErrorKind::kMemory,
      fmt::format("over the memory budget: {} resident, {} planned, {} allowed; {}; stopped at a block "
                  "boundary, start again with a larger --memory to resume",
                  format_bytes(last_.rss()), format_bytes(planned_bytes_.load()), format_bytes(budget_bytes_),
                  fmt::join(parts, ", ")));
}

}  // namespace phase0::core
