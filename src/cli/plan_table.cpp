#include "cli/plan_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/memory.h"

namespace phase0::cli {
namespace {

using Row = std::vector<std::string>;

/// 1234567 as `1,234,567`.
std::string with_commas(std::int64_t value) {
  std::string text = std::to_string(value);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

/// Aligned columns: the first to the left, the others to the right.
std::string align(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    out += '\n';
  }
  return out;
}

std::string format_passes(const StagePlan& stage) {
  if (stage.passes_min == stage.passes_max) return with_commas(stage.passes_min);
  return with_commas(stage.passes_min) + "-" + with_commas(stage.passes_max);
}

std::int64_t total_disk_bytes(const Plan& plan) {
  std::int64_t bytes = 0;
  for (const StagePlan& stage : plan.stages) bytes += stage.disk_bytes;
  return bytes;
}

std::string stage_table(const Plan& plan) {
  std::vector<Row> rows = {{"stage", "rows", "frame passes", "disk", "peak memory", "least memory"}};
  for (const StagePlan& stage : plan.stages) {
    rows.push_back({stage.stage, with_commas(stage.rows), format_passes(stage),
                    core::format_bytes(stage.disk_bytes), core::format_bytes(stage.peak_memory_bytes),
                    core::format_bytes(stage.minimum_memory_bytes)});
  }
  return align(rows);
}

}  // namespace

const StagePlan* stage_over_budget(const Plan& plan) {
  const auto largest = std::max_element(
      plan.stages.begin(), plan.stages.end(),
      [](const auto& a, const auto& b) { return a.minimum_memory_bytes < b.minimum_memory_bytes; });
  if (largest == plan.stages.end() || largest->minimum_memory_bytes <= plan.budget_bytes) return nullptr;
  return &*largest;
}

std::string plan_table(const Plan& plan) {
  std::string out;
  out += fmt::format("memory budget  {} ({})\n", core::format_bytes(plan.budget_bytes), plan.budget_source);
  out += fmt::format("disk           {} to write, {} free\n", core::format_bytes(total_disk_bytes(plan)),
                     core::format_bytes(plan.disk_free_bytes));
  out +=
      fmt::format("rows           {} train, {} eval\n", with_commas(plan.n_train), with_commas(plan.n_eval));
  out += fmt::format("storage        {}\n\n", plan.storage);
  out += stage_table(plan);
  for (const StagePlan& stage : plan.stages) {
    if (stage.memory.empty()) continue;
    out += fmt::format("\nmemory of {}\n", stage.stage);
    std::vector<Row> rows;
    for (const PlanItem& item : stage.memory)
      rows.push_back({"  " + item.name, core::format_bytes(item.bytes)});
    out += align(rows);
  }
  return out;
}

std::string plan_json(const Plan& plan) {
  using Json = nlohmann::ordered_json;
  Json stages = Json::array();
  for (const StagePlan& stage : plan.stages) {
    Json memory = Json::array();
    for (const PlanItem& item : stage.memory) memory.push_back({{"name", item.name}, {"bytes", item.bytes}});
    stages.push_back({{"stage", stage.stage},
                      {"rows", stage.rows},
                      {"passes_min", stage.passes_min},
                      {"passes_max", stage.passes_max},
                      {"disk_bytes", stage.disk_bytes},
                      {"peak_memory_bytes", stage.peak_memory_bytes},
                      {"minimum_memory_bytes", stage.minimum_memory_bytes},
                      {"memory", memory}});
  }
  const Json json = {{"budget_bytes", plan.budget_bytes},
                     {"budget_source", plan.budget_source},
                     {"disk_free_bytes", plan.disk_free_bytes},
                     {"n_train", plan.n_train},
                     {"n_eval", plan.n_eval},
                     {"storage", plan.storage},
                     {"stages", stages}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace phase0::cli
