#include "run/source_identity.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/load.h"
#include "core/fingerprint.h"
#include "phase0/version.h"
#include "run/input_path.h"
#include "run/json_file.h"
#include "run/run_directory.h"

namespace phase0::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMaxFactsBytes = std::int64_t{16} << 20;

/// Size and time of every argument that is a file: an encoder that was changed is another one.
std::string files_of(const std::vector<EncoderOptions>& encoders) {
  std::string text;
  for (const EncoderOptions& encoder : encoders) {
    for (const std::string& argument : encoder.command) {
      struct stat status {};
      if (::stat(argument.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      text += fmt::format("{} {} {}\n", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    }
  }
  return text;
}

}  // namespace

SourceOptions of_frames(SourceOptions source) {
  source.workers = 0;
  for (EncoderOptions& encoder : source.encoders) encoder.timeout_sec = encoder.hello_timeout_sec = 1;
  return source;
}

std::string frames_key(const Options& options, const encoders::Manifest& manifest) {
  Options relevant;
  relevant.data.source = of_frames(options.data.source);
  return core::fingerprint(fmt::format("frames {}\n{}{}\n{}", version(), config::dump(relevant),
                                       manifest.identity(), files_of(options.data.source.encoders)));
}

std::string patience_key(const Options& options) {
  Options relevant;
  relevant.data.source = options.data.source;
  relevant.data.source.workers = 0;
  relevant.data.on_encoder_error = options.data.on_encoder_error;
  return core::fingerprint("patience " + config::dump(relevant));
}

std::string staged_key(const std::string& frames_key, const std::string& encoder,
                       const encoders::Hello& hello) {
  return core::fingerprint(fmt::format("{} {} {} {} {} {} {}", frames_key, encoder, hello.name,
                                       encoders::to_string(hello.input), hello.dim,
                                       store::to_string(hello.dtype), hello.frame_rate_hz));
}

bool is_encoded(const Options& options, const std::string& frames_key) {
  std::error_code ignored;
  const std::string facts = RunDirectory{options.output.dir}.file("latents.json");
  if (!std::filesystem::exists(facts, ignored) || !std::filesystem::exists(input_path(options), ignored))
    return false;
  const auto json = read_json(facts, kMaxFactsBytes);
  if (!json || !json->is_object() || json->value("key", Json()) != frames_key) return false;
  const Json encoder = json->value("encoder", Json::object());
  return (encoder.is_object() && encoder.value("skipped", Json()) == Json::array()) ||
         json->value("patience", Json()) == patience_key(options);
}

}  // namespace phase0::run
