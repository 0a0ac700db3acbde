#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <sstream>

#include "config/load.h"
#include "config/memory_size.h"
#include "config/number.h"
#include "config/suggest.h"
#include "config/value.h"
#include "phase0/error.h"
#include "phase0/version.h"

namespace phase0::cli {
namespace {

constexpr const char* kFooter =
    "Results and tables go to stdout, progress and logs to stderr.\n"
    "Exit codes: 0 done, 1 internal error, 2 usage or configuration, 3 bad input data, 4 the memory budget "
    "is too\n"
    "small, 5 storage (disk full, I/O, permission), 6 interrupted and can be resumed.";

void add_output_flags(CLI::App& command, CommandLine& line) {
  auto* quiet = command.add_flag("-q,--quiet", line.quiet, "Warnings and errors only, no progress");
  command.add_flag("-v,--verbose", line.verbose, "Debug messages too")->excludes(quiet);
  const std::map<std::string, ProgressMode> modes = {{"auto", ProgressMode::kAuto},
                                                     {"tty", ProgressMode::kTty},
                                                     {"plain", ProgressMode::kPlain},
                                                     {"none", ProgressMode::kNone}};
  command
      .add_option_function<std::string>(
          "--progress", [&line, modes](const std::string& word) { line.progress = modes.at(word); },
          "auto (default), tty (a bar), plain (lines) or none")
      ->type_name("MODE")
      ->check(CLI::IsMember({"auto", "tty", "plain", "none"}));
  command.add_option("--log-json", line.log_json, "Append one JSON object per event to FILE")
      ->type_name("FILE");
}

void add_run_flags(CLI::App& command, CommandLine& line) {
  command.add_option("-c,--config", line.config_path, "Configuration (configs/README.md)")
      ->type_name("FILE")
      ->required();
  command
      .add_option("--set", line.overrides, "Override one key, such as clustering.kmeans.n_init=3; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--run-dir", line.run_dir, "Run directory, instead of output.dir")->type_name("DIR");
  command.add_option("--memory", line.memory, "Memory budget: auto, 1GiB, 25%")->type_name("SIZE");
  command.add_option("--threads", line.threads, "Worker threads: auto or a number")->type_name("N");
  command.add_flag("--fresh", line.fresh, "Discard earlier progress instead of resuming it");
}

void add_command(CLI::App& app, CommandLine& line, Command which, const char* name, const char* description) {
  CLI::App* command = app.add_subcommand(name, description);
  if (which == Command::kInspect) {
    command->add_option("path", line.inspect_path, "Latents file, file of a run, or run directory")
        ->type_name("PATH")
        ->required();
  } else {
    add_run_flags(*command, line);
  }
  if (which == Command::kPlan) command->add_flag("--json", line.json, "JSON instead of tables");
  add_output_flags(*command, line);
  command->footer(kFooter);
  command->callback([&line, which, name] {
    line.command = which;
    line.command_name = name;
  });
}

std::int64_t parse_threads(const std::string& text) {
  if (text == "auto") return 0;
  if (const auto number = config::parse_integer<std::int64_t>(text)) return *number;
  ErrorPlace place;
  place.path = "--threads";
  throw Error(ErrorKind::kConfig,
              "expected auto or an integer from 0 (auto) to 1024, got " + config::quote(text), place);
}

MemoryOptions parse_memory(const std::string& text) {
  try {
    return config::parse_memory(text);
  } catch (const Error& error) {
    ErrorPlace place;
    place.path = "--memory";
    throw Error(error.kind(), error.message(), place);
  }
}

/// CLI11 only says that a command is missing when it does not know the one that is there.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error,
                        const std::string& first_argument) {
  if (app.get_subcommands().empty() && !first_argument.empty()) {
    if (first_argument[0] == '-')
      return "expected a command before " + config::quote(first_argument) + "; see phase0 --help";
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    return "unknown command " + config::quote(first_argument) + config::suggestion(first_argument, names);
  }
  return std::string(error.what()) + "; see phase0 --help";
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  CLI::App app(
      "Does a coarse description of the recent context predict the next change of a latent sequence?",
      "phase0");
  app.set_version_flag("--version", std::string("phase0 ") + version());
  app.require_subcommand(1);
  app.footer(kFooter);
  add_command(app, line, Command::kCollect, "collect", "Read and check the latents, write features.h5");
  add_command(app, line, Command::kFit, "fit", "Fit the conditions on train, assign every row");
  add_command(app, line, Command::kAnalyze, "analyze",
              "Compute the metrics, write tables and reports, print the decision");
  add_command(app, line, Command::kRun, "run", "collect, fit and analyze");
  add_command(app, line, Command::kPlan, "plan", "Say what a run would take: passes, disk, memory");
  add_command(app, line, Command::kInspect, "inspect", "Describe and check an HDF5 file or a run directory");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      return {std::nullopt, usage_error(app, error, argc > 1 ? argv[1] : ""), true};
    std::ostringstream out;
    std::ostringstream ignored;
    app.exit(error, out, ignored);
    return {std::nullopt, out.str(), false};
  }
  return {line, {}, false};
}

Options load_options(const CommandLine& line) {
  Options options = config::load(line.config_path, line.overrides);
  if (line.run_dir) options.output.dir = *line.run_dir;
  if (line.memory) options.memory = parse_memory(*line.memory);
  if (line.threads) options.compute.threads = parse_threads(*line.threads);
  options.validate();
  return options;
}

}  // namespace phase0::cli
