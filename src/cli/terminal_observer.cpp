#include "cli/terminal_observer.h"

#include <spdlog/logger.h>

#include "cli/console.h"
#include "cli/quietly.h"
#include "cli/signals.h"
#include "core/text.h"

namespace phase0::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ProgressMode choose_mode(const CommandLine& line) {
  if (line.quiet) return ProgressMode::kNone;
  if (line.progress != ProgressMode::kAuto) return line.progress;
  return stderr_is_terminal() ? ProgressMode::kTty : ProgressMode::kPlain;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
  }
  return spdlog::level::info;
}

}  // namespace

TerminalObserver::TerminalObserver(const CommandLine& line)
    : logger_(make_stderr_logger(line.quiet, line.verbose)),
      json_(line.log_json),
      verbose_(line.verbose),
      mode_(choose_mode(line)),
      interval_(mode_ == ProgressMode::kTty ? milliseconds(100) : seconds(10)) {}

TerminalObserver::~TerminalObserver() {
  clear_bar();
}

void TerminalObserver::log(LogLevel level, std::string_view message) {
  quietly([&] {
    const std::lock_guard lock(mutex_);
    clear_bar();
    logger_->log(to_spdlog(level), core::printable(message));
    if (level != LogLevel::kDebug || verbose_) json_.write(to_string(level), "log", {{"message", message}});
  });
}

void TerminalObserver::task_begin(std::string_view name, std::int64_t total) {
  quietly([&] {
    const std::lock_guard lock(mutex_);
    in_task_ = true;
    task_name_ = core::printable(name);
    task_total_ = total;
    task_start_ = Clock::now();
    done_.store(0);
    bytes_.store(0);
    next_draw_.store((task_start_ + interval_).time_since_epoch().count());
    if (mode_ == ProgressMode::kPlain) show_line(format_begin(state()));
    json_.write("info", "task_begin", {{"task", name}, {"total", total}});
  });
}

void TerminalObserver::task_advance(std::int64_t done, std::int64_t bytes) {
  done_.fetch_add(done, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (mode_ == ProgressMode::kNone) return;
  const Clock::time_point now = Clock::now();
  if (now.time_since_epoch().count() < next_draw_.load(std::memory_order_relaxed)) return;
  quietly([&] {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !in_task_) return;
    next_draw_.store((now + interval_).time_since_epoch().count(), std::memory_order_relaxed);
    draw();
  });
}

void TerminalObserver::task_end() {
  quietly([&] {
    const std::lock_guard lock(mutex_);
    if (!in_task_) return;
    in_task_ = false;
    clear_bar();
    const TaskState task = state();
    if (mode_ == ProgressMode::kPlain) show_line(format_end(task));
    json_.write("info", "task_end",
                {{"task", task_name_},
                 {"total", task.total},
                 {"rows", task.done},
                 {"bytes", task.bytes},
                 {"seconds", task.seconds}});
  });
}

bool TerminalObserver::stop_requested() const {
  return interrupted();
}

void TerminalObserver::command_begins(const std::string& command) {
  const std::lock_guard lock(mutex_);
  json_.write("info", "begin", {{"command", command}});
}

void TerminalObserver::command_fails(const std::string& message, int exit_code) {
  quietly([&] {
    const std::lock_guard lock(mutex_);
    clear_bar();
    logger_->error(core::printable(message));
    json_.write("error", "error", {{"message", message}, {"exit_code", exit_code}});
  });
}

void TerminalObserver::command_ends(int exit_code) {
  quietly([&] {
    const std::lock_guard lock(mutex_);
    json_.write(exit_code == 0 ? "info" : "error", "end", {{"exit_code", exit_code}});
    if (!json_.ok()) logger_->warn("the JSON log could not be written in full");
  });
}

void TerminalObserver::show_line(const std::string& text) {
  write_stderr("phase0: " + text + "\n");
}

void TerminalObserver::draw() {
  if (mode_ == ProgressMode::kPlain) {
    show_line(format_update(state()));
    return;
  }
  constexpr std::string_view kLineStartAndErase = "\r\x1b[K";
  write_stderr(std::string(kLineStartAndErase) + format_bar(state(), terminal_width()));
  bar_shown_ = true;
}

void TerminalObserver::clear_bar() {
  if (bar_shown_) write_stderr("\r\x1b[K");
  bar_shown_ = false;
}

TaskState TerminalObserver::state() const {
  return {task_name_, task_total_, done_.load(), bytes_.load(),
          std::chrono::duration<double>(Clock::now() - task_start_).count()};
}

}  // namespace phase0::cli
