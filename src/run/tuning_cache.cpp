#include "run/tuning_cache.h"

#include <nlohmann/json.hpp>

#include "phase0/error.h"
#include "run/cache_folder.h"
#include "run/json_file.h"
#include "store/atomic_file.h"

namespace phase0::run {
namespace {

using SortedJson = nlohmann::json;

constexpr int kTableVersion = 1;
constexpr std::int64_t kMaxTableBytes = std::int64_t{1} << 20;

/// The stages of a sound file, else an empty object.
SortedJson read_stages(const std::string& path) {
  try {
    const auto json = read_json(path, kMaxTableBytes);
    if (json && json->at("version") == kTableVersion && json->at("stages").is_object())
      return json->at("stages");
  } catch (const Error&) {
    return SortedJson::object();  // not there
  } catch (const SortedJson::exception&) {
    return SortedJson::object();  // damaged
  }
  return SortedJson::object();
}

}  // namespace

TuningCache::TuningCache() {
  if (const auto folder = cache_folder()) path_ = *folder + "/tuning.json";
}

core::TuningTable TuningCache::load(const std::string& stage) const {
  core::TuningTable table;
  const SortedJson stages = read_stages(path_);
  const auto found = stages.find(stage);
  if (found == stages.end() || !found->is_object()) return table;
  for (const auto& [key, blocks] : found->items()) {
    if (blocks.is_number_integer()) table[key] = blocks.get<std::int64_t>();
  }
  return table;
}

void TuningCache::save(const std::string& stage, const core::TuningTable& table) const {
  if (path_.empty()) return;
  try {
    SortedJson stages = read_stages(path_);
    stages[stage] = table;
    store::create_folders(path_.substr(0, path_.rfind('/')));
    store::write_file_atomically(path_,
                                 SortedJson{{"version", kTableVersion}, {"stages", stages}}.dump(2) + "\n");
  } catch (const Error&) {
    return;  // a home that cannot be written to, a full disk
  } catch (const SortedJson::exception&) {
    return;
  }
}

}  // namespace phase0::run
