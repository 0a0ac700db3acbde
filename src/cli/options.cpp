#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <string_view>

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

constexpr const char* kGuardFooter =
    "Example: phase0 guard --limit 20GiB -- jupyter lab --no-browser\n\n"
    "Everything behind -- is the command. It keeps the terminal, and signals reach it as without guard.\n"
    "Watched is the memory of all processes that it starts, daemons included: the sum of their resident sets "
    "(RSS)\n"
    "or, once that is over the limit, of their proportional shares (PSS), which count a shared page once. "
    "Over "
    "the\n"
    "limit all of them get SIGTERM and, after the grace time, SIGKILL. When the command ends first, its "
    "descendants\n"
    "are watched until they end too, unless --no-wait is given.\n"
    "Exit codes: the command's own; 104 ended at the limit; 126 the command cannot be run; 127 it is not "
    "found;\n"
    "and before it is run, 1 internal error, 2 usage, 5 the log or /proc cannot be opened. When the command "
    "dies "
    "of\n"
    "a signal, so does guard (128 + its number in a shell).";

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

/// CLI::Range would let nan through.
std::string checkpoint_problem(const std::string& text) {
  const auto seconds = config::parse_real(text);
  if (seconds && *seconds >= 0 && *seconds <= 86400) return {};
  return "expected seconds from 0 to 86400, got " + config::quote(text);
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
  command
      .add_option("--checkpoint", line.checkpoint_seconds,
                  "Keep the progress of a step this often (default 10); 0: whenever it can be")
      ->type_name("SECONDS")
      ->check(checkpoint_problem);
}

/// CLI11 knows nothing of what stands behind `--`.
class BeforeCommandFormatter : public CLI::Formatter {
 public:
  explicit BeforeCommandFormatter(std::string flags) : flags_(std::move(flags)) {}
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: phase0 " + flags_ + " [OPTIONS] -- COMMAND [ARG...]\n";
  }

 private:
  std::string flags_;
};

void add_guard(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("guard", "Run any command and end it when it takes too much memory");
  GuardFlags& flags = line.guard;
  command->add_option("--limit", flags.limit, "Memory of the command and its descendants: auto, 20GiB, 50%")
      ->type_name("SIZE")
      ->required();
  command->add_option("--grace", flags.grace, "Time from SIGTERM to SIGKILL: 500ms, 5s (default), 2m")
      ->type_name("TIME");
  command->add_option("--interval", flags.interval, "Time between two looks (default 100ms)")
      ->type_name("TIME");
  command->add_option("--log", flags.log, "Append one JSON object per event to FILE")->type_name("FILE");
  command->add_flag("--no-wait", flags.no_wait,
                    "End with the command; descendants that outlive it go unwatched");
  command->add_flag("-v,--verbose", line.verbose, "Say at the end how long it took and its peak memory");
  command->footer(kGuardFooter);
  command->formatter(std::make_shared<BeforeCommandFormatter>("guard --limit SIZE"));
  command->callback([&line] {
    line.command = Command::kGuard;
    line.command_name = "guard";
  });
}

void add_encoder_check(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("encoder-check", "Try an encoder on every rule of its protocol (data/ENCODER.md)");
  EncoderCheckFlags& flags = line.encoder_check;
  command->add_option("--hello-timeout", flags.hello_timeout, "From its start to its hello (default 60s)")
      ->type_name("TIME");
  command->add_option("--timeout", flags.timeout, "For each further answer (default 60s)")->type_name("TIME");
  command->add_option("--device", flags.device, "What the encoder is told to compute on (default cpu)");
  command->add_option("--threads", flags.threads, "Threads that it is told to use (default 1)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--env", flags.env, "Variable of the encoder's environment; repeatable")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  add_output_flags(*command, line);
  command->footer(kFooter);
  command->formatter(std::make_shared<BeforeCommandFormatter>("encoder-check"));
  command->callback([&line] {
    line.command = Command::kEncoderCheck;
    line.command_name = "encoder-check";
  });
}

double parse_frame_rate(const std::string& text) {
  if (const auto rate = config::parse_real(text); rate && *rate > 0) return *rate;
  ErrorPlace place;
  place.path = "--frame-rate";
  throw Error(ErrorKind::kConfig, "expected a number of frames a second above 0, got " + config::quote(text),
              place);
}

CLI::App* add_conversion(CLI::App& app, CommandLine& line, Command which, const char* name,
                         const char* description) {
  CLI::App* command = app.add_subcommand(name, description);
  command->add_option("--memory", line.memory, "Memory budget: auto, 1GiB, 25%")->type_name("SIZE");
  add_output_flags(*command, line);
  command->footer(kFooter);
  command->callback([&line, which, name] {
    line.command = which;
    line.command_name = name;
  });
  return command;
}

void add_import(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      add_conversion(app, line, Command::kImport, "import",
                     "Convert .npy, .npz or Kaldi files, or with -- ENCODER [ARG...] sounds or "
                     "texts, into latents of layout A");
  ImportOptions& options = line.importing;
  command
      ->add_option("input", options.input,
                   "Folder of ID.npy, NAME.npy with NAME.len, .npz, .ark or .scp; for an encoder, a folder "
                   "of ID.wav or ID.txt")
      ->type_name("INPUT")
      ->required();
  command->add_option("output", options.output, "Latents file to write")->type_name("OUT.h5")->required();
  command->add_option("--frame-rate", line.frame_rate, "Frames a second; not for an encoder, which says it")
      ->type_name("HZ");
  command->add_option("--speakers", options.speakers_file, "File of lines ID SPEAKER")->type_name("FILE");
  command
      ->add_option("--speaker-separator", options.speaker_separator,
                   "The speaker is the text of the id up to the first SEP")
      ->type_name("SEP");
  const std::map<std::string, SourceKind> kinds = {{"npy", SourceKind::kNpyFolder},
                                                   {"npy-len", SourceKind::kNpyLengths},
                                                   {"npz", SourceKind::kNpz},
                                                   {"kaldi", SourceKind::kKaldi}};
  command
      ->add_option_function<std::string>(
          "--from", [&options, kinds](const std::string& word) { options.kind = kinds.at(word); },
          "npy (a folder), npy-len, npz or kaldi, where the name does not show it")
      ->type_name("KIND")
      ->check(CLI::IsMember({"npy", "npy-len", "npz", "kaldi"}));
  command->add_option("--lengths", options.lengths_file, "Of npy-len: file of lengths, instead of NAME.len")
      ->type_name("FILE");
  command->add_option("--ids", options.ids_file, "Of npy-len: file of ids, instead of NAME-0, NAME-1, ...")
      ->type_name("FILE");
  command->add_option("--energy", options.energy, "Energies: a folder of ID.npy, or one .npy of all frames")
      ->type_name("PATH");
  command->add_flag("--force", options.replace, "Replace an output that exists");
}

void add_export(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      add_conversion(app, line, Command::kExport, "export", "Write latents as .npy files, one per utterance");
  ExportOptions& options = line.exporting;
  command->add_option("input", options.input, "Latents, layout A or B")->type_name("IN.h5")->required();
  command->add_option("output", options.output, "New folder; with --single a file NAME.npy")
      ->type_name("OUT")
      ->required();
  command->add_flag("--single", options.single,
                    "One NAME.npy of all frames, with NAME.len, .ids and .speakers");
  command->add_flag("--force", options.replace, "With --single: replace files that exist");
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

void add_quantize(CLI::App& app, CommandLine& line) {
  CLI::App* command =
      app.add_subcommand("quantize", "Write latents, or any 2-d dataset of floats, in fewer bits");
  QuantizeFlags& flags = line.quantize;
  command->add_option("input", flags.input, "File to read")->type_name("IN")->required();
  command->add_option("output", flags.output, "File to write")->type_name("OUT")->required();
  command->add_option("--to", flags.to, "f16, int8 (even steps) or int4 (a palette of 16 values)")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"f16", "int8", "int4"}))
      ->required();
  command->add_option("--group", flags.group, "Columns that share steps or palette (default 1)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()));
  auto* dataset = command->add_option("--dataset", flags.dataset, "A 2-d dataset instead of a latents file")
                      ->type_name("NAME");
  auto* check =
      command->add_option("--check", line.config_path, "Run this configuration on both files and compare")
          ->type_name("CONFIG")
          ->excludes(dataset);
  command->add_option("--set", line.overrides, "Override one key of the configuration; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->needs(check);
  command->add_option("--memory", line.memory, "Memory budget: auto, 1GiB, 25%")->type_name("SIZE");
  command->add_option("--threads", line.threads, "Worker threads: auto or a number")->type_name("N");
  add_output_flags(*command, line);
  command->footer(kFooter);
  command->callback([&line] {
    line.command = Command::kQuantize;
    line.command_name = "quantize";
  });
}

/// Takes what stands behind the first `--` of a command that runs another one as it is, for CLI11 reads
/// options and further `--` there too. Gives the number of arguments before it.
int split_off_command(int argc, const char* const* argv, CommandLine& line) {
  const std::string_view name = argc < 2 ? "" : argv[1];
  std::vector<std::string>* command = nullptr;
  if (name == "guard") command = &line.guard.command;
  if (name == "encoder-check") command = &line.encoder_check.command;
  if (name == "import") command = &line.importing.encoder;
  if (command == nullptr) return argc;
  const char* const* const end = argv + argc;
  const char* const* const mark = std::find(argv + 2, end, std::string_view("--"));
  if (mark != end) command->assign(mark + 1, end);
  return static_cast<int>(mark - argv);
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
  add_command(app, line, Command::kPlan, "plan", "Say what a run would take: memory, bytes, disk, time");
  add_command(app, line, Command::kInspect, "inspect", "Describe and check an HDF5 file or a run directory");
  add_import(app, line);
  add_export(app, line);
  add_quantize(app, line);
  add_guard(app, line);
  add_encoder_check(app, line);
  const int own_argc = split_off_command(argc, argv, line);
  try {
    app.parse(own_argc, argv);
    if (line.command == Command::kGuard && line.guard.command.empty())
      throw CLI::ValidationError("guard", "expected -- and a command to run");
    if (line.command == Command::kEncoderCheck && line.encoder_check.command.empty())
      throw CLI::ValidationError("encoder-check", "expected -- and the encoder's command");
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

std::int64_t parse_threads(const std::string& text) {
  if (text == "auto") return 0;
  if (const auto number = config::parse_integer<std::int64_t>(text)) return *number;
  ErrorPlace place;
  place.path = "--threads";
  throw Error(ErrorKind::kConfig,
              "expected auto or an integer from 0 (auto) to 1024, got " + config::quote(text), place);
}

MemoryOptions parse_memory_flag(const char* flag, const std::string& text) {
  try {
    return config::parse_memory(text);
  } catch (const Error& error) {
    ErrorPlace place;
    place.path = flag;
    throw Error(error.kind(), error.message(), place);
  }
}

ImportOptions import_options(const CommandLine& line) {
  ImportOptions options = line.importing;
  if (!line.frame_rate.empty()) {
    options.frame_rate_hz = parse_frame_rate(line.frame_rate);
  } else if (options.encoder.empty()) {
    throw Error(ErrorKind::kConfig,
                "is required: none of these files says how many frames a second there are",
                {.path = "--frame-rate"});
  }
  if (line.memory) options.memory = parse_memory_flag("--memory", *line.memory);
  options.validate();
  return options;
}

ExportOptions export_options(const CommandLine& line) {
  ExportOptions options = line.exporting;
  if (line.memory) options.memory = parse_memory_flag("--memory", *line.memory);
  options.validate();
  return options;
}

Options load_options(const CommandLine& line) {
  Options options = config::load(line.config_path, line.overrides);
  if (line.run_dir) options.output.dir = *line.run_dir;
  if (line.memory) options.memory = parse_memory_flag("--memory", *line.memory);
  if (line.threads) options.compute.threads = parse_threads(*line.threads);
  options.validate();
  return options;
}

}  // namespace phase0::cli
