#include "run/journal.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/load.h"
#include "core/fingerprint.h"
#include "phase0/error.h"
#include "phase0/version.h"
#include "run/input_path.h"
#include "run/json_file.h"
#include "run/source_identity.h"
#include "run/stage_cache.h"
#include "store/atomic_file.h"
#include "store/checksum.h"

namespace phase0::run {
namespace {

constexpr std::int64_t kMaxJournalBytes = std::int64_t{1} << 20;

struct StageFiles {
  std::string stage;
  std::vector<std::string> files;
};
/// The stages in their order, with the files that each leaves.
const std::vector<StageFiles>& stages() {
  static const std::vector<StageFiles> all = {
      {"collect", {"features.h5"}},
      {"fit", {"models.h5", "assignments.h5"}},
      {"analyze",
       {"tables.csv", "speakers.csv", "clusters.csv", "confidence.csv", "pca.csv", "kmeans.csv",
        "metrics.csv", "metrics.json", "decision.json", "report.txt", "report.html"}}};
  return all;
}
std::size_t rank(const std::string& stage) {
  std::size_t position = 0;
  while (position < stages().size() && stages()[position].stage != stage) ++position;
  return position;
}

/// Size in bytes, -1 when it cannot be had.
std::int64_t file_bytes(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? -1 : static_cast<std::int64_t>(bytes);
}

/// Size, modification time and a sample of the contents; a file that is not there has an identity of its own.
/// What is no regular file is for the stage to refuse. Throws Error (kStorage) when it cannot be read.
std::string identity(const std::string& path) {
  struct stat info {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return path + ":absent";
  const std::uint32_t sampled = S_ISREG(info.st_mode) ? store::sampled_checksum(path) : 0;
  return fmt::format("{}:{}:{}.{:09}:{:08x}", std::filesystem::absolute(path).lexically_normal().string(),
                     info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, sampled);
}

}  // namespace

Journal::Journal(RunDirectory directory) : directory_(std::move(directory)) {
  const std::int64_t journal_bytes = file_bytes(directory_.file("journal.json"));
  if (journal_bytes < 0 || journal_bytes > kMaxJournalBytes) return;
  try {
    const auto json = read_json(directory_.file("journal.json"), kMaxJournalBytes);
    if (!json) return;
    for (const auto& stage : json->at("stages")) {
      Entry entry{stage.at("stage").get<std::string>(), stage.at("key").get<std::string>(), {}};
      for (const auto& [name, file] : stage.at("files").items())
        entry.files.push_back({name, whole_number(file.at("bytes")), whole_number(file.at("checksum"))});
      entries_.push_back(std::move(entry));
    }
  } catch (const nlohmann::json::exception&) {
    entries_.clear();
  }
}

bool Journal::done(const std::string& stage, const std::string& key) const {
  return this->key(stage) == key && changed_file(stage).empty();
}

std::string Journal::changed_file(const std::string& stage) const {
  for (const Entry& entry : entries_) {
    if (entry.stage != stage) continue;
    for (const File& file : entry.files) {
      const std::string path = directory_.file(file.name);
      if (file_bytes(path) != file.bytes || store::sampled_checksum(path) != file.checksum) return path;
    }
  }
  return "";
}

std::optional<std::string> Journal::key(const std::string& stage) const {
  for (const Entry& entry : entries_) {
    if (entry.stage == stage) return entry.key;
  }
  return std::nullopt;
}

void Journal::begin(const std::string& stage, bool fresh) {
  const std::size_t first = rank(stage);
  const auto stale = [&](const Entry& entry) { return rank(entry.stage) >= first; };
  if (std::any_of(entries_.begin(), entries_.end(), stale)) {
    entries_.erase(std::remove_if(entries_.begin(), entries_.end(), stale), entries_.end());
    save();
  }
  for (const std::string& file : files_from(stage)) store::remove_file(directory_.file(file));
  // Its own may be what this start goes on from, and parts of a fit may be of the same rows.
  for (std::size_t later = first + 1; later < stages().size(); ++later) {
    const std::string& name = stages()[later].stage;
    if (fresh || name != "fit") discard_cache(directory_, name);
  }
}

void Journal::finish(const std::string& stage, const std::string& key) {
  Entry entry{stage, key, {}};
  for (const std::string& file : stages().at(rank(stage)).files) {
    const std::string path = directory_.file(file);
    const std::int64_t bytes = file_bytes(path);
    entry.files.push_back({file, bytes, bytes < 0 ? 0 : store::sampled_checksum(path)});
  }
  entries_.push_back(std::move(entry));
  save();
}

void Journal::save() const {
  nlohmann::ordered_json json;
  json["stages"] = nlohmann::ordered_json::array();
  for (const Entry& entry : entries_) {
    nlohmann::ordered_json files = nlohmann::ordered_json::object();
    for (const File& file : entry.files)
      files[file.name] = {{"bytes", file.bytes}, {"checksum", file.checksum}};
    json["stages"].push_back({{"stage", entry.stage}, {"key", entry.key}, {"files", files}});
  }
  store::write_file_atomically(directory_.file("journal.json"), json.dump(2) + "\n");
}

std::vector<std::string> files_from(const std::string& stage) {
  std::vector<std::string> files;
  for (std::size_t i = rank(stage); i < stages().size(); ++i)
    files.insert(files.end(), stages()[i].files.begin(), stages()[i].files.end());
  return files;
}

std::string collect_key(const Options& options) {
  Options relevant;
  relevant.seed = options.seed;
  relevant.data = options.data;
  relevant.data.source = of_frames(options.data.source);
  relevant.data.on_encoder_error = {};  // the sequences that are there tell
  relevant.splits = options.splits;
  relevant.context = options.context;
  relevant.features = options.features;
  relevant.clustering.conditions = options.clustering.conditions;
  relevant.clustering.conditions.resize(1);
  relevant.clustering.conditions[0] = {"any", ConditionType::kMeanPoolVq, 1, 0};
  return core::fingerprint(std::string("collect ") + version() + "\n" + config::dump(relevant) +
                           identity(input_path(options)) + identity(options.splits.train_speakers_file) +
                           identity(options.splits.eval_speakers_file));
}

std::string rows_key(const Options& options) {
  Options same_rows = options;
  same_rows.context.lags = {*std::max_element(options.context.lags.begin(), options.context.lags.end())};
  return collect_key(same_rows);
}

std::string fit_key(const Options& options, const std::string& collect_key, const std::string& kernels) {
  Options relevant;
  relevant.seed = options.seed;
  relevant.clustering = options.clustering;
  relevant.clustering.min_cluster_size = 1;
  return core::fingerprint("fit " + collect_key + kernels + "\n" + config::dump(relevant));
}

std::string analyze_key(const Options& options, const std::string& fit_key) {
  Options relevant;
  relevant.seed = options.seed;
  relevant.clustering = options.clustering;
  relevant.slices = options.slices;
  relevant.metrics = options.metrics;
  return core::fingerprint("analyze " + fit_key + "\n" + config::dump(relevant));
}

}  // namespace phase0::run
