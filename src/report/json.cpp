#include "report/json.h"

#include <nlohmann/json.hpp>

#include "report/figures.h"
#include "report/number.h"

namespace phase0::report {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return nullptr;
}

void add(Json& object, const std::vector<Figure>& figures) {
  for (const Figure& figure : figures) object[figure.name] = to_json(figure.value);
}

Json object_of(const std::vector<Figure>& figures) {
  Json object = Json::object();
  add(object, figures);
  return object;
}

void write(const Json& value, int indent, std::string& out);

void write_members(const Json& value, int indent, std::string& out) {
  const std::string pad(static_cast<std::size_t>(indent) + 2, ' ');
  bool first = true;
  for (const auto& [key, member] : value.items()) {
    out += first ? "\n" : ",\n";
    first = false;
    out += pad;
    if (value.is_object()) out += Json(key).dump() + ": ";
    write(member, indent + 2, out);
  }
  out += '\n' + std::string(static_cast<std::size_t>(indent), ' ');
}

/// Like Json::dump, but numbers are in the shortest form that reads back exactly, which dump does not
/// promise.
void write(const Json& value, int indent, std::string& out) {
  if (value.is_structured()) {
    out += value.is_object() ? '{' : '[';
    if (!value.empty()) write_members(value, indent, out);
    out += value.is_object() ? '}' : ']';
  } else if (value.is_number_float()) {
    const std::string text = shortest(value.get<double>());
    out += text.empty() ? "null" : text;
  } else {
    out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

std::string text_of(const Json& value) {
  std::string out;
  write(value, 0, out);
  return out + '\n';
}

}  // namespace

std::string metrics_json(const AnalysisResult& result) {
  Json list = Json::array();
  for (const CellMetrics& cell : result.cells) {
    Json object = {{"condition", cell.condition},
                   {"type", to_string(cell.type)},
                   {"lag", cell.lag},
                   {"slice", cell.slice},
                   {"n_effective_clusters", cell.n_effective_clusters}};
    object["train"] = object_of(split_figures(cell.train));
    object["eval"] = object_of(split_figures(cell.eval));
    add(object, shared_figures(cell));
    object["cluster_stats"] = object_of(cluster_figures(cell.cluster_stats));
    list.push_back(std::move(object));
  }
  return text_of(list);
}

std::string decision_json(const Options& options, const Decision& decision) {
  Json conditions = Json::array();
  for (const ConditionDecision& c : decision.conditions) {
    conditions.push_back(Json{{"condition", c.condition}, {"pass", c.pass}, {"reasons", c.reasons}});
  }
  Json object = Json::object();
  object["decision"] = decision.pass ? "PASS" : "FAIL";
  object["pass"] = decision.pass;
  object["conditions"] = std::move(conditions);
  object["thresholds"] = Json{{"variance_ratio", options.metrics.variance_ratio_threshold},
                              {"cross_speaker_degradation", options.metrics.cross_speaker_degradation_max},
                              {"random_baseline_tolerance", options.metrics.random_baseline_tolerance}};
  return text_of(object);
}

}  // namespace phase0::report
