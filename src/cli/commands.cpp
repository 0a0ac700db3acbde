#include "cli/commands.h"

#include <fmt/format.h>

#include "cli/console.h"
#include "cli/encoder_check.h"
#include "cli/plan_table.h"
#include "cli/quantize.h"
#include "core/memory.h"
#include "core/text.h"
#include "core/threads.h"
#include "phase0/convert.h"
#include "phase0/error.h"
#include "phase0/pipeline.h"

namespace phase0::cli {
namespace {

void execute_stages(const CommandLine& line, const Options& options, Observer& observer) {
  const RunFlags flags{line.fresh, line.checkpoint_seconds};
  if (line.command == Command::kCollect) {
    collect(options, flags, observer);
  } else if (line.command == Command::kFit) {
    fit(options, flags, observer);
  } else {
    if (line.command == Command::kRun) {
      run_stages(options, flags, observer);
    } else {
      analyze(options, flags, observer);
    }
    write_stdout(core::printable(report_text(options.output.dir), "\n\t"));
  }
}

void execute_plan(const CommandLine& line, const Options& options, Observer& observer) {
  const Plan result = plan(options, observer);
  write_stdout(line.json ? plan_json(result) : core::printable(plan_table(result), "\n\t"));
  const std::int64_t free = result.disk_free_bytes + result.disk_replaced_bytes;
  if (result.disk_bytes > free) {
    observer.log(LogLevel::kWarning,
                 fmt::format("{}: the disk is too small: the run needs {}, {} free", options.output.dir,
                             core::format_bytes(result.disk_bytes), core::format_bytes(free)));
  }
  if (result.minimum_memory_bytes > result.budget_bytes) {
    throw Error(ErrorKind::kMemory, memory_error(result));
  }
}

std::string describe(const std::string& output, const ConvertReport& report) {
  return core::printable(fmt::format("{}: {} utterances, {} frames of {} {} values at {} Hz, energy {}",
                                     output, report.n_utterances, report.n_frames, report.dim, report.type,
                                     report.frame_rate_hz, report.energy ? "yes" : "no")) +
         '\n';
}

void execute_import(const CommandLine& line, Observer& observer) {
  const ImportOptions options = import_options(line);
  write_stdout(describe(options.output, import_latents(options, observer)));
}

void execute_export(const CommandLine& line, Observer& observer) {
  const ExportOptions options = export_options(line);
  write_stdout(describe(options.output, export_latents(options, observer)));
}

/// Once per command; every stage takes its own measure of what is available when it starts.
void log_limits(const Options& options, Observer& observer) {
  const core::MemoryBudget budget = core::MemoryBudget::from_options(options.memory);
  const core::AvailableThreads threads = core::available_threads();
  observer.log(LogLevel::kInfo,
               fmt::format("memory budget {} ({}), {}", core::format_bytes(budget.bytes()), budget.source(),
                           options.compute.threads > 0
                               ? fmt::format("{} thread(s) (given)", options.compute.threads)
                               : fmt::format("{} thread(s) ({})", threads.count, threads.source)));
}

}  // namespace

void execute(const CommandLine& line, Observer& observer) {
  if (line.command == Command::kInspect) {
    write_stdout(core::printable(inspect(line.inspect_path), "\n"));
    return;
  }
  if (line.command == Command::kImport) return execute_import(line, observer);
  if (line.command == Command::kExport) return execute_export(line, observer);
  if (line.command == Command::kQuantize) return execute_quantize(line, observer);
  if (line.command == Command::kEncoderCheck) return check_encoder(line, observer);
  const Options options = load_options(line);
  log_limits(options, observer);
  if (line.command == Command::kPlan) {
    execute_plan(line, options, observer);
  } else {
    execute_stages(line, options, observer);
  }
}

}  // namespace phase0::cli
