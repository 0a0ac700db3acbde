#include "run/choose_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace phase0::run {
namespace {

encoders::EncoderSettings settings_of(const EncoderOptions& options, std::int64_t budget_bytes) {
  encoders::EncoderSettings settings;
  settings.command.arguments = options.command;
  for (const std::string& variable : options.env) {
    const auto equals = variable.find('=');
    settings.command.env[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  const auto milliseconds = [](double seconds) {
    return std::chrono::milliseconds(std::max<std::int64_t>(1, std::llround(1000 * seconds)));
  };
  settings.device = options.device;
  settings.threads = static_cast<int>(options.threads);
  settings.hello_timeout = milliseconds(options.hello_timeout_sec);
  settings.encode_timeout = milliseconds(options.timeout_sec);
  settings.max_reply_bytes = std::max(std::int64_t{1} << 20, budget_bytes / 4);
  settings.max_sequence_bytes = settings.max_reply_bytes;
  return settings;
}

}  // namespace

ChosenEncoder choose_encoder(const std::vector<EncoderOptions>& choices, std::int64_t budget_bytes,
                             encoders::ProcessKeeper& keeper, Observer& observer) {
  std::string why;
  for (const EncoderOptions& choice : choices) {
    encoders::EncoderSettings settings = settings_of(choice, budget_bytes);
    std::unique_ptr<encoders::EncoderClient> client;
    try {
      client = std::make_unique<encoders::EncoderClient>(keeper, settings);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData && error.kind() != ErrorKind::kConfig) throw;
      why = fmt::format("encoder {}: {}", choice.name, error.what());
      observer.log(LogLevel::kWarning, why);
      continue;
    }
    const encoders::Hello& hello = client->hello();
    settings.expected = hello;  // of every other that is started
    observer.log(LogLevel::kInfo, fmt::format("encoder {} ({}), ready in {:.1f} s", choice.name, hello.name,
                                              client->hello_seconds()));
    return {choice.name, std::move(settings), std::move(client)};
  }
  throw Error(ErrorKind::kConfig, "data.source.encoders: none can be used; the last one: " + why);
}

}  // namespace phase0::run
