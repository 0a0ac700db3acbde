#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cli/logging.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "phase0/error.h"
#include "phase0/observer.h"

namespace phase0::cli {

/// Shows logs and progress on stderr, copies both to the JSON log, and passes signals on. Thread-safe.
class TerminalObserver : public Observer {
 public:
  explicit TerminalObserver(const CommandLine& line);
  ~TerminalObserver() override;

  void log(LogLevel level, std::string_view message) override;
  void task_begin(std::string_view name, std::int64_t total) override;
  void task_advance(std::int64_t done, std::int64_t bytes) override;
  void task_end() override;
  bool stop_requested() const override;

  /// The first and last lines of the JSON log, and the one error line of a failure.
  void command_begins(const std::string& command);
  void command_fails(const std::string& message, int exit_code);
  void command_ends(int exit_code);

 private:
  using Clock = std::chrono::steady_clock;

  void show_line(const std::string& text);
  void draw();
  void clear_bar();
  TaskState state() const;

  std::shared_ptr<spdlog::logger> logger_;
  JsonLog json_;
  bool verbose_;
  ProgressMode mode_;
  std::chrono::nanoseconds interval_;

  // The counters are touched without the lock, once a block; the rest is guarded by it.
  std::atomic<std::int64_t> done_{0};
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<Clock::rep> next_draw_{0};
  mutable std::mutex mutex_;
  bool in_task_ = false;
  bool bar_shown_ = false;
  std::string task_name_;
  std::int64_t task_total_ = 0;
  Clock::time_point task_start_;
};

}  // namespace phase0::cli
