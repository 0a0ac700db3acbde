#include "cli/commands.h"

#include <fmt/format.h>

#include "cli/console.h"
#include "cli/plan_table.h"
#include "config/text.h"
#include "core/memory.h"
#include "phase0/error.h"
#include "phase0/pipeline.h"

namespace phase0::cli {
namespace {

/// A signal that comes when a stage has just finished must not be lost to the next one's start.
void check_stop(const Observer& observer) {
  if (observer.stop_requested()) throw Error(ErrorKind::kInterrupted, "interrupted; start again to resume");
}

void execute_stages(const CommandLine& line, const Options& options, Observer& observer) {
  const RunFlags flags{line.fresh};
  const bool all = line.command == Command::kRun;
  if (all || line.command == Command::kCollect) collect(options, flags, observer);
  if (all) check_stop(observer);
  if (all || line.command == Command::kFit) fit(options, flags, observer);
  if (all) check_stop(observer);
  if (all || line.command == Command::kAnalyze) {
    analyze(options, flags, observer);
    write_stdout(config::printable(report_text(options.output.dir), "\n\t"));
  }
}

void execute_plan(const CommandLine& line, const Options& options, Observer& observer) {
  const Plan result = plan(options, observer);
  write_stdout(line.json ? plan_json(result) : config::printable(plan_table(result), "\n\t"));
  if (const StagePlan* stage = stage_over_budget(result)) {
    throw Error(
        ErrorKind::kMemory,
        fmt::format("the memory budget of {} is too small for {}; the smallest that works is {} ({}B)",
                    core::format_bytes(result.budget_bytes), stage->stage,
                    core::format_bytes(stage->minimum_memory_bytes), stage->minimum_memory_bytes));
  }
}

}  // namespace

void execute(const CommandLine& line, Observer& observer) {
  if (line.command == Command::kInspect) {
    const std::string text = inspect(line.inspect_path);
    write_stdout(config::printable(text, "\n\t"));
    return;
  }
  const Options options = load_options(line);
  if (line.command == Command::kPlan) {
    execute_plan(line, options, observer);
  } else {
    execute_stages(line, options, observer);
  }
}

}  // namespace phase0::cli
