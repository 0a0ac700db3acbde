#pragma once

#include <optional>
#include <string>
#include <vector>

#include "phase0/convert.h"
#include "phase0/options.h"
#include "phase0/pipeline.h"

namespace phase0::cli {

enum class Command {
  kCollect,
  kFit,
  kAnalyze,
  kRun,
  kPlan,
  kInspect,
  kImport,
  kExport,
  kQuantize,
  kEncoderCheck,
  kGuard
};
enum class ProgressMode { kAuto, kTty, kPlain, kNone };

/// The flags of `guard`, as given.
struct GuardFlags {
  std::string limit;
  std::string grace = "5s";
  std::string interval = "100ms";
  std::string log;
  bool no_wait = false;
  std::vector<std::string> command;  ///< all that stands behind the first `--`
};

/// The arguments and flags of `quantize`, as given. `--check` is CommandLine::config_path.
struct QuantizeFlags {
  std::string input, output;
  std::string to;
  std::int64_t group = 1;
  std::string dataset;
};

/// The flags of `encoder-check`, as given.
struct EncoderCheckFlags {
  std::string hello_timeout = "60s";
  std::string timeout = "60s";
  std::string device = "cpu";
  std::int64_t threads = 1;
  std::vector<std::string> env;      ///< NAME=VALUE
  std::vector<std::string> command;  ///< all that stands behind the first `--`
};

/// The command line, as given.
struct CommandLine {
  Command command = Command::kRun;
  std::string command_name;
  std::string config_path;
  std::vector<std::string> overrides;  ///< `--set`
  std::optional<std::string> run_dir;  ///< `--run-dir`
  std::optional<std::string> memory;   ///< `--memory`
  std::optional<std::string> threads;  ///< `--threads`
  bool fresh = false;
  double checkpoint_seconds = RunFlags{}.checkpoint_seconds;
  bool quiet = false;
  bool verbose = false;
  ProgressMode progress = ProgressMode::kAuto;
  std::string log_json;
  bool json = false;         ///< of `plan`
  std::string inspect_path;  ///< of `inspect`
  std::string frame_rate;    ///< `--frame-rate`
  ImportOptions importing;   ///< of `import`, but for its memory
  ExportOptions exporting;   ///< of `export`, but for its memory
  GuardFlags guard;          ///< of `guard`
  QuantizeFlags quantize;    ///< of `quantize`
  EncoderCheckFlags encoder_check;
};

/// A command line, or what to say instead: the text of `--help` or `--version`, or a usage error.
struct ParsedCommandLine {
  std::optional<CommandLine> line;
  std::string text;
  bool is_error = false;
};

ParsedCommandLine parse_command_line(int argc, const char* const* argv);

/// The value of a flag that takes a memory size. Throws Error (kConfig) that names the flag.
MemoryOptions parse_memory_flag(const char* flag, const std::string& text);

/// The options of `import` and `export`. Throw Error (kConfig).
ImportOptions import_options(const CommandLine& line);
ExportOptions export_options(const CommandLine& line);
/// The value of `--threads`; 0 is `auto`. Throws Error (kConfig).
std::int64_t parse_threads(const std::string& text);

/// Loads the configuration and applies the flags to it. Throws Error (kConfig).
Options load_options(const CommandLine& line);

}  // namespace phase0::cli
