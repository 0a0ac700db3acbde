#include "cli/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/console.h"
#include "core/memory.h"
#include "core/text.h"
#include "phase0/quantize.h"

namespace phase0::cli {
namespace {

QuantizeTo parse_to(const std::string& word) {
  if (word == "f16") return QuantizeTo::kFloat16;
  return word == "int8" ? QuantizeTo::kInt8 : QuantizeTo::kInt4;
}

std::string summary(const QuantizeOptions& options, const QuantizeReport& report) {
  const double share = 100.0 * static_cast<double>(report.file_bytes_after) /
                       static_cast<double>(std::max<std::int64_t>(report.file_bytes_before, 1));
  std::string out =
      fmt::format("{}: {} [{}, {}] {}, {} ({} bytes)\n", core::printable(options.input),
                  core::printable(report.dataset), report.n_rows, report.dim, report.type_before,
                  core::format_bytes(report.file_bytes_before), report.file_bytes_before);
  out += fmt::format("{}: {}, {} ({} bytes), {:.1f} % of it\n", core::printable(options.output),
                     report.type_after, core::format_bytes(report.file_bytes_after), report.file_bytes_after,
                     share);
  out += fmt::format("error: largest {:.6g}, mean {:.6g}, root mean square {:.6g}\n", report.largest_error,
                     report.mean_error, report.rms_error);
  return out + fmt::format("cosine to the row it was: mean {:.8f}, least {:.8f}\n", report.mean_cosine,
                           report.least_cosine);
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.6f}", *value) : "-";
}

/// In percent of what it was.
std::optional<double> change(const std::optional<double>& before, const std::optional<double>& after) {
  if (!before || !after || *before == 0) return std::nullopt;
  return 100 * (*after - *before) / *before;
}

std::string percent(const std::optional<double>& value) {
  return value ? fmt::format("{:+.3f} %", *value) : "-";
}

std::string table(const std::vector<RatioChange>& changes) {
  std::size_t width = std::string_view("condition").size();
  std::size_t slice_width = std::string_view("slice").size();
  for (const RatioChange& row : changes) {
    width = std::max(width, row.condition.size());
    slice_width = std::max(slice_width, row.slice.size());
  }
  const auto line = [&](const auto& condition, const auto& lag, const auto& slice, const auto&... figures) {
    std::string text = fmt::format("{:<{}} {:>4}  {:<{}}", condition, width, lag, slice, slice_width);
    ((text += fmt::format(" {:>12}", figures)), ...);
    return text + "\n";
  };
  std::string out = "\nvariance ratios\n" + line("condition", "lag", "slice", "train before", "after",
                                                 "change", "eval before", "after", "change");
  double largest = 0;
  for (const RatioChange& row : changes) {
    const auto train = change(row.train_before, row.train_after);
    const auto eval = change(row.eval_before, row.eval_after);
    largest = std::max({largest, std::abs(train.value_or(0)), std::abs(eval.value_or(0))});
    out += line(row.condition, row.lag, row.slice, number(row.train_before), number(row.train_after),
                percent(train), number(row.eval_before), number(row.eval_after), percent(eval));
  }
  return out + fmt::format("largest change: {:.3f} %\n", largest);
}

}  // namespace

void execute_quantize(const CommandLine& line, Observer& observer) {
  const QuantizeFlags& flags = line.quantize;
  // A configuration that is wrong is better known before.
  std::optional<Options> check;
  if (!line.config_path.empty()) check = load_options(line);
  QuantizeOptions options;
  options.input = flags.input;
  options.output = flags.output;
  options.to = parse_to(flags.to);
  options.group = flags.group;
  options.dataset = flags.dataset;
  if (line.memory) options.memory = parse_memory_flag("--memory", *line.memory);
  if (line.threads) options.compute.threads = parse_threads(*line.threads);
  const QuantizeReport report = quantize(options, observer);
  write_stdout(core::printable(summary(options, report), "\n"));
  if (!check) return;
  const auto changes = compare_variance_ratios(*check, options.input, options.output, observer);
  write_stdout(core::printable(table(changes), "\n"));
}

}  // namespace phase0::cli
