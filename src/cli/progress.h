#pragma once

#include <cstdint>
#include <string>

namespace phase0::cli {

/// How far a task is.
struct TaskState {
  std::string name;
  std::int64_t total = 0;  ///< units (rows, mostly); <= 0: unknown
  std::int64_t done = 0;
  std::int64_t bytes = 0;  ///< of input taken in
  double seconds = 0;
};

/// `950`, `12.3 k`, `4.56 M`: three digits with a decimal prefix.
std::string format_count(double value);
/// `0:07`, `12:34`, `1:02:03`.
std::string format_duration(double seconds);

/// One line for a terminal of `width` columns: name, bar, percent, units/s, MB/s, time left.
std::string format_bar(const TaskState& task, int width);
/// The lines of a log: when a task begins, goes on and ends.
std::string format_begin(const TaskState& task);
std::string format_update(const TaskState& task);
std::string format_end(const TaskState& task);

}  // namespace phase0::cli
