#include "config/check_options.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>

#include "config/schema.h"
#include "config/value.h"

namespace phase0::config {
namespace {

constexpr std::int64_t kMaxQuartileDim = 15;  // ids are 4^pca_dim and must fit in int32

std::optional<Problem> check_splits(const SplitOptions& splits) {
  const bool train_file = !splits.train_speakers_file.empty();
  const bool eval_file = !splits.eval_speakers_file.empty();
  const bool train_count = splits.n_train_speakers.has_value();
  const bool eval_count = splits.n_eval_speakers.has_value();
  const bool files = train_file && eval_file;
  const bool counts = train_count && eval_count;
  if ((files && !train_count && !eval_count) || (counts && !train_file && !eval_file)) return std::nullopt;
  std::string given;
  const auto add = [&given](bool is_given, const char* key) {
    if (is_given) given += (given.empty() ? "" : ", ") + std::string(key);
  };
  add(train_file, "train_speakers_file");
  add(eval_file, "eval_speakers_file");
  add(train_count, "n_train_speakers");
  add(eval_count, "n_eval_speakers");
  return Problem{"splits", fmt::format("expected either train_speakers_file and eval_speakers_file, or "
                                       "n_train_speakers and n_eval_speakers, got {}",
                                       given.empty() ? "none of them" : given)};
}

template <typename Named>
std::optional<Problem> check_unique_names(const std::vector<Named>& list, const std::string& path) {
  std::unordered_map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto [first, is_new] = seen.emplace(list[i].name, i);
    if (is_new) continue;
    return Problem{fmt::format("{}.{}.name", path, i),
                   fmt::format("{} is taken by {}.{}", quote(list[i].name), path, first->second)};
  }
  return std::nullopt;
}

std::optional<Problem> check_source(const SourceOptions& source) {
  if (source.manifest.empty()) {
    if (source.encoders.empty()) return std::nullopt;
    return Problem{"data.source", "has encoders, but no manifest of what they are to encode"};
  }
  if (source.encoders.empty())
    return Problem{"data.source.encoders", "expected at least one entry, got none"};
  for (std::size_t i = 0; i < source.encoders.size(); ++i) {
    const std::string path = fmt::format("data.source.encoders.{}", i);
    const EncoderOptions& encoder = source.encoders[i];
    if (encoder.command.empty() || encoder.command[0].empty())
      return Problem{path + ".command", "expected a program and its arguments, got none"};
    for (const std::string& variable : encoder.env) {
      if (variable.find('=') == std::string::npos || variable[0] == '=')
        return Problem{path + ".env", "expected NAME=VALUE, got " + quote(variable)};
    }
  }
  return check_unique_names(source.encoders, "data.source.encoders");
}

/// One number of a condition against what its type takes.
std::optional<Problem> check_belongs(const ConditionOptions& condition, bool wanted, std::int64_t value,
                                     const std::string& key, const std::string& path) {
  if (wanted && value == 0) {
    return Problem{path + "." + key,
                   fmt::format("required by type {}, but missing", to_string(condition.type))};
  }
  if (!wanted && value != 0) {
    return Problem{path + "." + key, fmt::format("does not belong to type {}", to_string(condition.type))};
  }
  return std::nullopt;
}

std::optional<Problem> check_condition(const ConditionOptions& condition, const std::string& path) {
  const bool quartile = condition.type == ConditionType::kPcaQuartile;
  const bool pca = condition.type != ConditionType::kMeanPoolVq;
  if (auto problem = check_belongs(condition, !quartile, condition.k, "k", path)) return problem;
  if (auto problem = check_belongs(condition, pca, condition.pca_dim, "pca_dim", path)) return problem;
  if (quartile && condition.pca_dim > kMaxQuartileDim) {
    return Problem{path + ".pca_dim",
                   fmt::format("expected an integer from 1 to {} for type pca_quartile, got {}",
                               kMaxQuartileDim, condition.pca_dim)};
  }
  // models.h5 keeps the normaliser of a lag beside its conditions.
  if (condition.name == "norm") return Problem{path + ".name", "\"norm\" is reserved, choose another name"};
  return std::nullopt;
}

}  // namespace

constexpr std::size_t kMaxSlices = 64;  // one bit of a word each in the analysis

std::optional<Problem> find_problem(const Options& options) {
  if (auto problem = check_fields(options_table(), options, "")) return problem;
  if (auto problem = check_splits(options.splits)) return problem;
  if (auto problem = check_source(options.data.source)) return problem;
  const auto& conditions = options.clustering.conditions;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    if (auto problem = check_condition(conditions[i], fmt::format("clustering.conditions.{}", i)))
      return problem;
  }
  if (auto problem = check_unique_names(conditions, "clustering.conditions")) return problem;
  if (options.slices.size() > kMaxSlices) {
    return Problem{"slices",
                   fmt::format("{} slices are too many, at most {} work", options.slices.size(), kMaxSlices)};
  }
  return check_unique_names(options.slices, "slices");
}

}  // namespace phase0::config
