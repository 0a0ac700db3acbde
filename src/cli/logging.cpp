#include "cli/logging.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "phase0/error.h"

namespace phase0::cli {

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                     milliseconds);
}

JsonLog::JsonLog(const std::string& path) {
  if (path.empty()) return;
  file_.reset(std::fopen(path.c_str(), "ae"));
  if (file_) return;
  const int error_number = errno;
  ErrorPlace place;
  place.path = path;
  throw Error(ErrorKind::kStorage, fmt::format("cannot open the log: {}", std::strerror(error_number)),
              place);
}

void JsonLog::write(const char* level, const char* event, const nlohmann::ordered_json& fields) noexcept {
  if (!file_) return;
  try {
    nlohmann::ordered_json line = {{"time", utc_now()}, {"level", level}, {"event", event}};
    line.update(fields);
    // Names from damaged files need not be UTF-8.
    const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
    const bool written = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
    ok_ = std::fflush(file_.get()) == 0 && written && ok_;
  } catch (...) {
    ok_ = false;
  }
}

std::shared_ptr<spdlog::logger> make_stderr_logger(bool quiet, bool verbose) {
  auto logger =
      std::make_shared<spdlog::logger>("phase0", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("phase0: %^%l%$: %v");
  logger->set_level(quiet ? spdlog::level::warn : verbose ? spdlog::level::debug : spdlog::level::info);
  return logger;
}

const char* to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
  }
  return "unknown";
}

}  // namespace phase0::cli
