#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "core/text.h"
#include "report/number.h"
#include "report/summary.h"
#include "report/write.h"

namespace phase0::report {
namespace {

constexpr std::size_t kWidth = 96;

/// Bytes that begin a character: columns on a terminal, near enough.
std::size_t columns_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string pad(const std::string& text, std::size_t width, bool right) {
  const std::size_t used = columns_of(text);
  const std::string space(used < width ? width - used : 0, ' ');
  return right ? space + text : text + space;
}

/// Breaks at spaces; `first` begins the first line and as many blanks the others.
std::string wrap(const std::string& text, const std::string& first) {
  std::string out = first;
  const std::string indent(columns_of(first), ' ');
  std::size_t used = columns_of(first);
  std::istringstream words(text);
  std::string word;
  bool at_start = true;
  while (words >> word) {
    const std::size_t width = columns_of(word);
    if (!at_start && used + 1 + width > kWidth) {
      out += '\n' + indent;
      used = indent.size();
      at_start = true;
    }
    if (!at_start) out += ' ';
    out += word;
    used += width + (at_start ? 0 : 1);
    at_start = false;
  }
  return out + '\n';
}

std::string heading(const std::string& text) {
  return '\n' + text + '\n' + std::string(columns_of(text), '-') + '\n';
}

std::string clip(const std::string& name, std::size_t width) {
  return name.size() <= width ? name : name.substr(0, width - 2) + "..";
}

std::vector<std::string> table_row(const CellMetrics& cell) {
  return {clip(cell.condition, 16),
          std::to_string(cell.lag),
          clip(cell.slice, 16),
          fixed(cell.train.variance_ratio),
          fixed(cell.eval.variance_ratio),
          percent(cell.cross_speaker_degradation),
          fixed(cell.train.random_baseline_mean),
          fixed(cell.eval.random_baseline_mean),
          fmt::format("{}/{}", cell.n_effective_clusters, cell.cluster_stats.n_clusters),
          percent(cell.eval.excluded_mass)};
}

/// Columns as wide as their widest field, text to the left and numbers to the right.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += (i == 0 ? "" : "  ") + pad(row[i], widths[i], i != 0 && i != 2);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return out;
}

std::string main_table(const AnalysisResult& result) {
  if (result.cells.empty()) return "(no results: every slice is empty)\n";
  std::vector<std::vector<std::string>> rows = {
      {"", "", "", "ratio", "ratio", "eval vs", "random", "random", "clusters", "left out"},
      {"condition", "lag", "slice", "train", "eval", "train", "train", "eval", "used/all", "eval"}};
  for (const CellMetrics& cell : result.cells) rows.push_back(table_row(cell));
  return aligned(rows);
}

std::string decision_lines(const Decision& decision) {
  std::string out;
  for (const ConditionDecision& c : decision.conditions) {
    out += wrap(fmt::format("{}  {}", c.pass ? "PASS" : "FAIL", c.condition), "");
    for (const std::string& reason : c.reasons) out += wrap(reason, "      - ");
  }
  return out;
}

}  // namespace

std::string render_text(const Options& options, const AnalysisResult& result, const RunFacts& facts) {
  std::string out = fmt::format("phase0 result: {}\n", result.decision.pass ? "PASS" : "FAIL");
  out += std::string(kWidth, '=') + '\n';
  out += wrap(verdict(result.decision) + " " + best_sentence(options, result), "");

  out += heading("The question");
  out += wrap(question(), "");
  out += wrap(
      "A variance ratio is the share of the variance of the next change that is left once the description is "
      "known: 1 means that it says nothing, 0 that it says everything. A condition passes when:",
      "");
  for (const std::string& requirement : requirements(options)) out += wrap(requirement, "  - ");

  out += heading("Decision");
  out += decision_lines(result.decision);

  out += heading("Variance ratios");
  out += main_table(result);
  out += wrap(
      "\"random\" is the ratio with shuffled cluster labels; \"eval vs train\" the cross-speaker "
      "degradation; "
      "\"left out\" the share of eval rows in clusters too small to count.",
      "");

  out += heading("Data");
  for (const NamedFact& fact : data_facts(options, facts))
    out += wrap(core::printable(fact.value), pad(fact.name, 26, false));

  out += heading("Where to read on");
  for (const FileNote& file : files()) out += wrap(file.what, pad(file.name, 27, false));
  return out;
}

}  // namespace phase0::report
