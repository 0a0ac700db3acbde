#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace phase0::cli {
namespace {

/// Shorter times give rates that mean nothing.
constexpr double kMinSeconds = 1e-3;

std::string format_rates(const TaskState& task) {
  if (task.seconds < kMinSeconds) return {};
  std::string text = fmt::format("{}/s", format_count(static_cast<double>(task.done) / task.seconds));
  if (task.bytes > 0)
    text += fmt::format("  {:.0f} MB/s", static_cast<double>(task.bytes) / task.seconds / 1e6);
  return text;
}

double fraction(const TaskState& task) {
  if (task.total <= 0) return 0;
  return std::clamp(static_cast<double>(task.done) / static_cast<double>(task.total), 0.0, 1.0);
}

std::string format_left(const TaskState& task) {
  if (task.total <= 0 || task.done <= 0 || task.seconds < kMinSeconds) return {};
  const double left =
      task.seconds / static_cast<double>(task.done) * static_cast<double>(task.total - task.done);
  return "  ETA " + format_duration(std::max(left, 0.0));
}

/// Cuts to `width` characters of UTF-8, counting each as one column.
std::string cut(const std::string& text, int width) {
  int columns = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const bool starts_character = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (starts_character && ++columns > width) break;
    ++end;
  }
  return text.substr(0, end);
}

}  // namespace

std::string format_count(double value) {
  constexpr const char* kPrefixes[] = {"", " k", " M", " G", " T"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix < 4) {
    value /= 1000;
    ++prefix;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, decimals, kPrefixes[prefix]);
}

std::string format_duration(double seconds) {
  constexpr double kLongest = 1e6 * 3600;
  const auto whole = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, kLongest)));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string format_bar(const TaskState& task, int width) {
  constexpr int kBarWidth = 20;
  const auto filled = static_cast<int>(fraction(task) * kBarWidth);
  std::string line = task.name;
  if (task.total > 0) {
    line += fmt::format("  [{:=<{}}{:{}}] {:3.0f} %", "", filled, "", kBarWidth - filled,
                        std::floor(fraction(task) * 100));
  } else {
    line += fmt::format("  {}", format_count(static_cast<double>(task.done)));
  }
  line += "  " + format_rates(task) + format_left(task);
  return cut(line, width - 1);  // the last column would wrap on some terminals
}

std::string format_begin(const TaskState& task) {
  return task.total > 0 ? fmt::format("{}: begins, {} to do", task.name, task.total)
                        : fmt::format("{}: begins", task.name);
}

std::string format_update(const TaskState& task) {
  const std::string how_far = task.total > 0 ? fmt::format("{:.0f} %", std::floor(fraction(task) * 100))
                                             : fmt::format("{} done", task.done);
  return fmt::format("{}: {}  {}{}", task.name, how_far, format_rates(task), format_left(task));
}

std::string format_end(const TaskState& task) {
  const std::string of = task.done < task.total ? fmt::format(" of {}", task.total) : "";
  return fmt::format("{}: {}{} in {:.1f} s  {}", task.name, task.done, of, task.seconds, format_rates(task));
}

}  // namespace phase0::cli
