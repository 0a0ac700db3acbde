#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace phase0 {

enum class LogLevel { kDebug, kInfo, kWarning };

/// What a long computation tells its caller. Every method may be called from any thread and must not throw.
/// The default does nothing.
class Observer {
 public:
  virtual ~Observer() = default;
  /// One line of log, without a trailing newline.
  virtual void log(LogLevel level, std::string_view message);
  /// A task of `total` units (rows, mostly) begins; tasks do not nest.
  virtual void task_begin(std::string_view name, std::int64_t total);
  /// `done` units more of the current task are finished, which took in `bytes` of input.
  virtual void task_advance(std::int64_t done, std::int64_t bytes);
  virtual void task_end();
  /// Asked between units of work: true asks the computation to stop with Error (kInterrupted).
  virtual bool stop_requested() const;
};

}  // namespace phase0
