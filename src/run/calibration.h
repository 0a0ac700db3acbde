#pragma once

#include <array>
#include <optional>
#include <string>

#include "run/session.h"
#include "run/work.h"

namespace phase0::run {

/// Rates of this machine, all threads of the session at work.
struct Calibration {
  double cold_read_bytes_per_second = 0;  ///< the input's disk
  double warm_read_bytes_per_second = 0;  ///< through a mapping whose pages the cache holds
  double write_bytes_per_second = 0;      ///< the run directory's disk, durably
  std::array<double, kOperations> seconds_per_unit{};
};

/// Measures for under a second: reads up to 32 MiB of `input_path` (dropping them from the page cache
/// before), writes 16 MiB into a file without a name beside the run directory, and times the inner loops.
/// Nothing when the budget leaves no room for it or a file cannot be read.
std::optional<Calibration> measure_machine(Session& session, const std::string& input_path);

/// The rates kept in `cache_path` for this CPU, these kernels, threads and disks; else measured, and kept
/// there. A cache that is damaged or cannot be written is as good as none. An empty path keeps nothing.
std::optional<Calibration> calibration(Session& session, const std::string& input_path,
                                       const std::string& cache_path);

/// Time that `work` takes: with files cached, expected, and with the input cold.
Range seconds_of(const Work& work, const Calibration& calibration);

}  // namespace phase0::run
