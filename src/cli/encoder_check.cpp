#include "cli/encoder_check.h"

#include <fmt/format.h>

#include "cli/console.h"
#include "config/duration.h"
#include "config/value.h"
#include "core/text.h"
#include "encoders/conformance.h"

namespace phase0::cli {
namespace {

using encoders::CheckOutcome;

[[noreturn]] void fail_flag(const char* flag, const std::string& expected, const std::string& got) {
  throw Error(ErrorKind::kConfig, "expected " + expected + ", got " + config::quote(got), {.path = flag});
}

std::chrono::milliseconds parse_timeout(const char* flag, const std::string& text) {
  const auto timeout = config::parse_duration(text);
  if (!timeout || timeout->count() == 0) fail_flag(flag, config::kDurationExpected, text);
  return *timeout;
}

encoders::EncoderSettings settings_from(const EncoderCheckFlags& flags) {
  encoders::EncoderSettings settings;
  settings.command.arguments = flags.command;
  for (const std::string& variable : flags.env) {
    const auto equals = variable.find('=');
    if (equals == std::string::npos || equals == 0) fail_flag("--env", "NAME=VALUE", variable);
    settings.command.env[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  settings.hello_timeout = parse_timeout("--hello-timeout", flags.hello_timeout);
  settings.encode_timeout = parse_timeout("--timeout", flags.timeout);
  settings.device = flags.device;
  settings.threads = static_cast<int>(flags.threads);
  return settings;
}

const char* word_for(CheckOutcome outcome) {
  if (outcome == CheckOutcome::kPassed) return "pass";
  return outcome == CheckOutcome::kFailed ? "FAIL" : "skip";
}

}  // namespace

void check_encoder(const CommandLine& line, const Observer& observer) {
  int n_checks = 0;
  int n_failed = 0;
  const auto tell = [&](const encoders::CheckResult& result) {
    ++n_checks;
    if (result.outcome == CheckOutcome::kFailed) ++n_failed;
    std::string text = fmt::format("{}  {:<36}{}", word_for(result.outcome), result.name, result.detail);
    while (text.back() == ' ') text.pop_back();
    write_stdout(core::printable(text) + "\n");
  };
  encoders::ProcessKeeper keeper([&observer] { return observer.stop_requested(); });
  encoders::check_encoder(keeper, settings_from(line.encoder_check), tell);
  if (n_failed > 0) {
    throw Error(ErrorKind::kData, fmt::format("{} of {} checks failed", n_failed, n_checks),
                {.path = line.encoder_check.command.front()});
  }
}

}  // namespace phase0::cli
