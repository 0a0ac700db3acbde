#pragma once

#include <cstdint>
#include <string>

#include "cli/logging.h"
#include "run/guard.h"

namespace phase0::cli {

/// Tells people on stderr and programs in the log what happens to a guarded command.
class GuardReport {
 public:
  /// `limit_source` says where the limit comes from. Appends to `log_path` unless that is empty; throws Error
  /// (kStorage) when it cannot be opened.
  GuardReport(const run::GuardOptions& options, std::string limit_source, const std::string& log_path,
              bool verbose);

  void tell(const run::GuardEvent& event) noexcept;
  /// The last lines. `exit_code` is what the program is about to end with.
  void finish(const run::GuardOutcome& outcome, int exit_code) noexcept;

 private:
  void log_event(const run::GuardEvent& event);
  void say_event(const run::GuardEvent& event) const;
  void say_outcome(const run::GuardOutcome& outcome, int exit_code) const;

  const run::GuardOptions& options_;
  std::string limit_source_;
  JsonLog log_;
  bool verbose_;
};

}  // namespace phase0::cli
