#include "run/calibration.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "run/json_file.h"
#include "store/atomic_file.h"
#include "store/file_system.h"

namespace phase0::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 3;
constexpr std::int64_t kMaxCalibrationBytes = std::int64_t{1} << 20;
constexpr std::size_t kMaxMachines = 64;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.find(':') + 2, line.size()));
  }
  return "unknown CPU";
}

std::string machine_key(const Session& session, const std::string& input_path) {
  return fmt::format("{}, {} kernels, {} threads, disks {:x} and {:x}", cpu_model(), session.kernels(),
                     session.threads(), store::device_of(input_path),
                     store::device_of(session.directory().path));
}

Json to_json(const Calibration& calibration) {
  Json json = {{"cold_read_bytes_per_second", calibration.cold_read_bytes_per_second},
               {"warm_read_bytes_per_second", calibration.warm_read_bytes_per_second},
               {"write_bytes_per_second", calibration.write_bytes_per_second}};
  for (std::size_t i = 0; i < kOperations; ++i) {
    json["seconds_per_unit"][name_of(static_cast<Operation>(i))] = calibration.seconds_per_unit[i];
  }
  return json;
}

std::optional<Calibration> from_json(const Json& json) {
  bool sound = true;
  const auto rate = [&sound](const Json& value) {
    const double number = value.get<double>();
    sound = sound && std::isfinite(number) && number > 0;
    return number;
  };
  Calibration calibration;
  calibration.cold_read_bytes_per_second = rate(json.at("cold_read_bytes_per_second"));
  calibration.warm_read_bytes_per_second = rate(json.at("warm_read_bytes_per_second"));
  calibration.write_bytes_per_second = rate(json.at("write_bytes_per_second"));
  for (std::size_t i = 0; i < kOperations; ++i) {
    calibration.seconds_per_unit[i] =
        rate(json.at("seconds_per_unit").at(name_of(static_cast<Operation>(i))));
  }
  return sound ? std::optional(calibration) : std::nullopt;
}

/// The cache's machines; none when it is not there, damaged or of another version.
Json load_machines(const std::string& path) {
  try {
    if (!std::filesystem::is_regular_file(path)) return Json::object();
    const auto json = read_json(path, kMaxCalibrationBytes);
    const bool sound = json && json->at("version") == kVersion && json->at("machines").is_object();
    return sound ? Json(json->at("machines")) : Json::object();
  } catch (const std::exception&) {
    return Json::object();
  }
}

std::optional<Calibration> find(const Json& machines, const std::string& key) {
  try {
    return machines.contains(key) ? from_json(machines.at(key)) : std::nullopt;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

void keep(const std::string& path, Json machines, const std::string& key, const Calibration& calibration,
          Observer& observer) {
  if (machines.size() >= kMaxMachines) machines = Json::object();
  machines[key] = to_json(calibration);
  try {
    store::create_folders(std::filesystem::path(path).parent_path());
    const Json json = {{"version", kVersion}, {"machines", machines}};
    store::write_file_atomically(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  } catch (const std::exception& error) {
    observer.log(LogLevel::kDebug, fmt::format("calibration is not kept: {}", error.what()));
  }
}

}  // namespace

const char* name_of(Operation operation) {
  constexpr const char* kNames[kOperations] = {"mean",  "moment",   "score",         "product",
                                               "sum",   "distance", "float_product", "double_product",
                                               "order", "near_add", "far_add",       "draw"};
  return kNames[static_cast<std::size_t>(operation)];
}

std::optional<Calibration> calibration(Session& session, const std::string& input_path,
                                       const std::string& cache_path) {
  const std::string key = machine_key(session, input_path);
  const Json machines = cache_path.empty() ? Json::object() : load_machines(cache_path);
  if (auto known = find(machines, key)) return known;
  const auto measured = measure_machine(session, input_path);
  if (measured && !cache_path.empty()) keep(cache_path, machines, key, *measured, session.observer());
  return measured;
}

Range seconds_of(const Work& work, const Calibration& calibration) {
  constexpr double kStart = 0.05;  // opening, syncing and closing files
  Range seconds = kStart;
  for (std::size_t i = 0; i < kOperations; ++i) seconds += calibration.seconds_per_unit[i] * work.units[i];
  seconds += 1 / calibration.warm_read_bytes_per_second * work.bytes_read;
  // Scratch files mostly stay in the page cache; at worst they do not.
  seconds += Range{0, work.bytes_written.min / calibration.write_bytes_per_second,
                   work.bytes_written.max / calibration.write_bytes_per_second};
  const double cold = work.bytes_input / calibration.cold_read_bytes_per_second;
  return seconds + Range{0, 0, cold};
}

}  // namespace phase0::run
