#pragma once

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "phase0/observer.h"

namespace spdlog {
class logger;
}

namespace phase0::cli {

/// The time now, `2024-05-06T07:08:09.123Z`.
std::string utc_now();

/// A file of JSON objects, one a line and flushed, each with `time` (UTC), `level` and `event`. Not
/// thread-safe.
class JsonLog {
 public:
  /// Appends to `path`; an empty path logs nothing. Throws Error (kStorage).
  explicit JsonLog(const std::string& path);
  void write(const char* level, const char* event, const nlohmann::ordered_json& fields) noexcept;
  /// False once a line could not be written.
  bool ok() const { return ok_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  bool ok_ = true;
};

/// The logger of stderr: `phase0: level: message`.
std::shared_ptr<spdlog::logger> make_stderr_logger(bool quiet, bool verbose);

const char* to_string(LogLevel level);

}  // namespace phase0::cli
