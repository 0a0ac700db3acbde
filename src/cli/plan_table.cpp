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

std::string format_range(const std::string& least, const std::string& most) {
  return least == most ? least : least + " - " + most;
}

std::string format_bytes_range(std::int64_t least, std::int64_t most) {
  return format_range(core::format_bytes(least), core::format_bytes(most));
}

/// `0.4 s`, `12 s`, `3.5 min`, `2.1 h`.
std::string format_seconds(double seconds) {
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 99.5) return fmt::format("{:.0f} s", seconds);
  return seconds < 5970 ? fmt::format("{:.1f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

Row time_row(const std::string& name, double least, double estimate, double most) {
  if (estimate <= 0) return {name, "unknown"};
  return {name, format_seconds(estimate), format_range(format_seconds(least), format_seconds(most))};
}

std::string stage_table(const Plan& plan) {
  std::vector<Row> rows = {{"stage", "rows", "frame passes", "read", "written", "disk"}};
  for (const StagePlan& stage : plan.stages) {
    rows.push_back({stage.stage, with_commas(stage.rows), format_passes(stage),
                    format_bytes_range(stage.bytes_read_min, stage.bytes_read_max),
                    format_bytes_range(stage.bytes_written_min, stage.bytes_written_max),
                    core::format_bytes(stage.disk_bytes)});
  }
  return align(rows);
}

std::string time_table(const Plan& plan) {
  std::vector<Row> rows = {{"time", "about", "at least - at most"}};
  double least = 0;
  double estimate = 0;
  double most = 0;
  for (const StagePlan& stage : plan.stages) {
    rows.push_back(time_row(stage.stage, stage.seconds_min, stage.seconds_estimate, stage.seconds_max));
    least += stage.seconds_min;
    estimate += stage.seconds_estimate;
    most += stage.seconds_max;
  }
  rows.push_back(time_row("all", least, estimate, most));
  return align(rows);
}

/// Peak and least memory of each stage, and below it the parts of the peak.
std::string memory_table(const Plan& plan) {
  std::vector<Row> rows = {{"memory", "peak", "least"}};
  for (const StagePlan& stage : plan.stages) {
    rows.push_back({stage.stage, core::format_bytes(stage.peak_memory_bytes),
                    core::format_bytes(stage.minimum_memory_bytes)});
    for (const PlanItem& item : stage.memory)
      rows.push_back({"  " + item.name, core::format_bytes(item.bytes)});
  }
  return align(rows);
}

/// For a budget that is too small.
std::string change_table(const Plan& plan) {
  if (plan.minimum_memory_bytes <= plan.budget_bytes) return {};
  std::string out = fmt::format("\nThe budget is too small: the smallest that works is {}. For less:\n",
                                core::format_bytes(plan.minimum_memory_bytes));
  if (plan.changes.empty()) return out + "no setting lowers it\n";
  std::vector<Row> rows = {{"change", "least memory", "saves", "fits"}};
  for (const PlanChange& change : plan.changes) {
    for (std::size_t i = 0; i + 1 < change.settings.size(); ++i)
      rows.push_back({fmt::format("--set '{}' and", change.settings[i])});
    rows.push_back({fmt::format("--set '{}'", change.settings.back()),
                    core::format_bytes(change.minimum_memory_bytes),
                    core::format_bytes(plan.minimum_memory_bytes - change.minimum_memory_bytes),
                    change.minimum_memory_bytes <= plan.budget_bytes ? "yes" : "no"});
  }
  return out + align(rows);
}

std::int64_t disk_free_bytes(const Plan& plan) {
  return plan.disk_free_bytes + plan.disk_replaced_bytes;
}

std::string summary(const Plan& plan) {
  std::string out;
  out += fmt::format("memory budget  {} ({})\n", core::format_bytes(plan.budget_bytes), plan.budget_source);
  out += fmt::format("threads        {}\n", plan.threads);
  out += fmt::format("disk           {} needed, {} free", core::format_bytes(plan.disk_bytes),
                     core::format_bytes(disk_free_bytes(plan)));
  out += plan.disk_bytes > disk_free_bytes(plan) ? ": NOT ENOUGH\n" : "\n";
  out +=
      fmt::format("rows           {} train, {} eval\n", with_commas(plan.n_train), with_commas(plan.n_eval));
  return out + fmt::format("storage        {}\n", plan.storage);
}

}  // namespace

std::string plan_table(const Plan& plan) {
  return summary(plan) + '\n' + stage_table(plan) + '\n' + time_table(plan) + '\n' + memory_table(plan) +
         change_table(plan);
}

namespace {

using Json = nlohmann::ordered_json;

Json stage_json(const StagePlan& stage) {
  Json memory = Json::array();
  for (const PlanItem& item : stage.memory) memory.push_back({{"name", item.name}, {"bytes", item.bytes}});
  const auto seconds = [&stage](double value) { return stage.seconds_estimate > 0 ? Json(value) : Json(); };
  return {{"stage", stage.stage},
          {"rows", stage.rows},
          {"passes_min", stage.passes_min},
          {"passes_max", stage.passes_max},
          {"bytes_read_min", stage.bytes_read_min},
          {"bytes_read_max", stage.bytes_read_max},
          {"bytes_written_min", stage.bytes_written_min},
          {"bytes_written_max", stage.bytes_written_max},
          {"disk_bytes", stage.disk_bytes},
          {"peak_memory_bytes", stage.peak_memory_bytes},
          {"minimum_memory_bytes", stage.minimum_memory_bytes},
          {"output_in_memory_bytes", stage.output_in_memory_bytes},
          {"memory", memory},
          {"seconds_min", seconds(stage.seconds_min)},
          {"seconds_estimate", seconds(stage.seconds_estimate)},
          {"seconds_max", seconds(stage.seconds_max)}};
}

}  // namespace

std::string plan_json(const Plan& plan) {
  Json stages = Json::array();
  for (const StagePlan& stage : plan.stages) stages.push_back(stage_json(stage));
  Json changes = Json::array();
  for (const PlanChange& change : plan.changes) {
    changes.push_back({{"set", change.settings},
                       {"minimum_memory_bytes", change.minimum_memory_bytes},
                       {"fits", change.minimum_memory_bytes <= plan.budget_bytes}});
  }
  const Json json = {{"budget_bytes", plan.budget_bytes},
                     {"budget_source", plan.budget_source},
                     {"minimum_memory_bytes", plan.minimum_memory_bytes},
                     {"threads", plan.threads},
                     {"disk_bytes", plan.disk_bytes},
                     {"disk_free_bytes", plan.disk_free_bytes},
                     {"disk_replaced_bytes", plan.disk_replaced_bytes},
                     {"n_train", plan.n_train},
                     {"n_eval", plan.n_eval},
                     {"storage", plan.storage},
                     {"stages", stages},
                     {"changes", changes}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace phase0::cli
