#include "run/provenance.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/load.h"
#include "core/clock.h"
#include "linalg/blas.h"
#include "phase0/version.h"
#include "run/build_info.h"
#include "run/json_file.h"
#include "store/atomic_file.h"
#include "store/versions.h"

namespace phase0::run {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kMaxRunJsonBytes = std::int64_t{16} << 20;

std::int64_t io_counter(const std::string& name) {
  std::ifstream file("/proc/self/io");
  std::string key;
  std::int64_t value = 0;
  while (file >> key >> value) {
    if (key == name + ":") return value;
  }
  return 0;
}

Json load(const RunDirectory& directory) {
  const std::string path = directory.file("run.json");
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json::object();
  std::optional<Json> json = read_json(path, kMaxRunJsonBytes);
  const bool sound =
      json && json->is_object() && (!json->contains("stages") || json->at("stages").is_object());
  return sound ? std::move(*json) : Json::object();  // damaged: it is rebuilt from this stage on
}

void save(const RunDirectory& directory, const Json& json) {
  store::write_file_atomically(directory.file("run.json"), json.dump(2) + "\n");
}

void describe_program(const Session& session, Json& json) {
  json["version"] = version();
  json["git_commit"] = kGitCommit;
  json["git_dirty"] = kGitDirty;
  json["seed"] = session.options().seed;
  json["kernels"] = session.kernels();
  json["threads"] = session.threads();
  json["budget"] = {{"bytes", session.memory().bytes()}, {"source", session.memory().source()}};
  Json libraries = Json::object();
  for (const auto& [name, version] : store::library_versions()) libraries[name] = version;
  libraries["blas"] = linalg::blas_description();
  json["libraries"] = libraries;
}

}  // namespace

StageMeter::StageMeter()
    : start_seconds_(core::now_seconds()),
      start_read_(io_counter("read_bytes")),
      start_written_(io_counter("write_bytes")),
      reset_(core::reset_peak_rss()) {}

StageMeter::Figures StageMeter::read() const {
  return {core::now_seconds() - start_seconds_, io_counter("read_bytes") - start_read_,
          io_counter("write_bytes") - start_written_, core::peak_rss_bytes(), reset_};
}

void record_stage(const Session& session, const StagePlan& plan, const StageMeter::Figures& figures,
                  const std::vector<PlanItem>& extra) {
  Json json = load(session.directory());
  describe_program(session, json);
  Json stage;
  stage["seconds"] = figures.seconds;
  stage["rows"] = plan.rows;
  stage["bytes_read"] = figures.bytes_read;
  stage["bytes_written"] = figures.bytes_written;
  stage["peak_rss_bytes"] = figures.peak_rss_bytes;
  stage["peak_rss_is_of_this_stage"] = figures.peak_is_of_stage;
  stage["planned_peak_bytes"] = plan.peak_memory_bytes;
  stage["budget_bytes"] = session.memory().bytes();
  for (const PlanItem& item : extra) stage[item.name] = item.bytes;
  json["stages"][plan.stage] = stage;
  save(session.directory(), json);
  store::write_file_atomically(session.directory().file("config.yaml"), config::dump(session.options()));
}

void record_input(const Session& session, const InputFacts& input) {
  Json json = Json::object();
  describe_program(session, json);
  json["input"] = {{"path", input.path},
                   {"bytes", input.bytes},
                   {"mtime_ns", input.mtime_ns},
                   {"dtype", input.dtype},
                   {"n_frames", input.n_frames},
                   {"dim", input.dim},
                   {"n_utterances", input.n_utterances},
                   {"frame_rate_hz", input.frame_rate_hz}};
  if (!session.options().data.source.manifest.empty()) {
    const std::optional<Json> encoded = read_json(session.directory().file("latents.json"), kMaxRunJsonBytes);
    if (encoded && encoded->contains("encoder")) json["encoder"] = encoded->at("encoder");
  }
  save(session.directory(), json);
}

std::vector<report::StageMemory> read_stage_memory(const RunDirectory& directory) {
  const Json json = load(directory);
  std::vector<report::StageMemory> memory;
  for (const char* stage : {"collect", "fit"}) {
    try {
      const Json& figures = json.at("stages").at(stage);
      memory.push_back({stage, whole_number(figures.at("planned_peak_bytes")),
                        whole_number(figures.at("peak_rss_bytes")),
                        whole_number(figures.at("budget_bytes"))});
    } catch (const nlohmann::json::exception&) {
      continue;  // lost or damaged: the report does without
    }
  }
  return memory;
}

InputFacts read_input_facts(const RunDirectory& directory) {
  const Json json = load(directory);
  try {
    const Json& input = json.at("input");
    InputFacts facts;
    facts.path = input.at("path").get<std::string>();
    facts.frame_rate_hz = input.at("frame_rate_hz").get<double>();
    return facts;
  } catch (const nlohmann::json::exception&) {
    return {};  // lost or damaged: the report does without
  }
}

}  // namespace phase0::run
