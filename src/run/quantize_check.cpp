// What quantising does to the result: the same configuration on both files.
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "phase0/pipeline.h"
#include "phase0/quantize.h"
#include "run/json_file.h"
#include "run/run_directory.h"
#include "store/posix_file.h"

namespace phase0 {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMaxMetricsBytes = std::int64_t{1} << 30;

/// A folder that goes with all that is in it.
class TemporaryRuns {
 public:
  explicit TemporaryRuns(const std::string& beside) : path_(beside + ".check-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) store::throw_errno("create a folder beside", beside);
  }
  ~TemporaryRuns() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryRuns(const TemporaryRuns&) = delete;
  TemporaryRuns& operator=(const TemporaryRuns&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// metrics.json of a run of `options` on `latents`.
Json run_on(Options options, const std::string& latents, const std::string& folder, Observer& observer) {
  options.data.latents = latents;
  options.output.dir = folder;
  const RunFlags flags;
  for (const auto stage : {&collect, &fit, &analyze}) {
    if (observer.stop_requested()) throw Error(ErrorKind::kInterrupted, "interrupted");
    (*stage)(options, flags, observer);
  }
  auto metrics = run::read_json(run::RunDirectory{folder}.file("metrics.json"), kMaxMetricsBytes);
  if (!metrics) throw Error(ErrorKind::kStorage, "is damaged", {folder + "/metrics.json"});
  return std::move(*metrics);
}

std::optional<double> ratio(const Json& cell, const char* split) {
  const Json& value = cell.at(split).at("variance_ratio");
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

std::vector<RatioChange> compare_variance_ratios(const Options& options, const std::string& before,
                                                 const std::string& after, Observer& observer) {
  const TemporaryRuns runs(after);
  const Json old_cells = run_on(options, before, runs.path() + "/before", observer);
  const Json new_cells = run_on(options, after, runs.path() + "/after", observer);
  std::vector<RatioChange> changes;
  for (const Json& cell : old_cells) {
    for (const Json& now : new_cells) {
      const bool same = cell.at("condition") == now.at("condition") && cell.at("lag") == now.at("lag") &&
                        cell.at("slice") == now.at("slice");
      if (!same) continue;
      changes.push_back({cell.at("condition").get<std::string>(), cell.at("lag").get<std::int64_t>(),
                         cell.at("slice").get<std::string>(), ratio(cell, "train"), ratio(now, "train"),
                         ratio(cell, "eval"), ratio(now, "eval")});
    }
  }
  return changes;
}

}  // namespace phase0
