#include "config/codec.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <unordered_set>

#include "config/memory_size.h"
#include "core/text.h"

namespace phase0::config {
namespace {

constexpr std::string_view kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
constexpr std::size_t kMaxNameLength = 100;
constexpr std::size_t kMaxPathLength = 4096;

/// Words that some YAML readers take for something other than text.
bool is_yaml_word(std::string word) {
  constexpr std::array<std::string_view, 9> kWords = {"null", "true", "false", "yes", "no",
                                                      "on",   "off",  "y",     "n"};
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

std::string write_text(const std::string& text) {
  const bool plain_start =
      !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) != 0 || text[0] == '/');
  const bool plain = text.find_first_not_of(std::string(kNameCharacters) + "/") == std::string::npos;
  if (plain_start && plain && !is_yaml_word(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

void read_text(const Value& value, const std::string& path, const std::string& expected, std::string& out) {
  if (!value.is_scalar()) fail_type(value, path, expected);
  out = value.text;
}

/// A and B of `pos_frac_A_B`.
std::optional<std::pair<double, double>> parse_pos_frac(std::string_view text) {
  constexpr std::string_view kPrefix = "pos_frac_";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const std::size_t bar = text.find('_');
  if (bar == std::string_view::npos) return std::nullopt;
  const auto low = parse_real(text.substr(0, bar));
  const auto high = parse_real(text.substr(bar + 1));
  if (!low || !high) return std::nullopt;
  return std::pair{*low, *high};
}

constexpr const char* kFilterExpected = "null, energy_above_median, or pos_frac_A_B with 0 <= A <= B <= 1";
constexpr std::int64_t kMaxThreads = 1024;
constexpr std::int64_t kMaxBatch = 4096;
constexpr const char* kBatchExpected = "auto or an integer from 0 (auto) to 4096";
constexpr const char* kThreadsExpected = "auto or an integer from 0 (auto) to 1024";

}  // namespace

void PathText::read(const Value& value, const std::string& path, std::string& out) const {
  if (optional && value.kind == Value::Kind::kNull) {
    out.clear();
    return;
  }
  read_text(value, path, optional ? "a path or null" : "a path", out);
}

std::optional<Problem> PathText::check(const std::string& value, const std::string& path) const {
  if (value.empty())
    return optional ? std::nullopt : std::optional(Problem{path, "a path is required, got none"});
  if (value.size() > kMaxPathLength) {
    return Problem{path,
                   fmt::format("expected a path of at most {} bytes, got {}", kMaxPathLength, value.size())};
  }
  if (core::first_control_character(value) != std::string::npos ||
      core::first_invalid_utf8(value) != std::string::npos) {
    return Problem{path, "expected a path in UTF-8 without control characters, got " + quote(value)};
  }
  return std::nullopt;
}

std::optional<std::string> PathText::write(const std::string& value, int /*indent*/) const {
  return value.empty() ? "null" : write_text(value);
}

void LatentsPath::read(const Value& value, const std::string& path, DataOptions& out) const {
  PathText{}.read(value, path, out.latents);
}

std::optional<Problem> LatentsPath::check(const DataOptions& value, const std::string& path) const {
  if (value.source.manifest.empty()) return PathText{}.check(value.latents, path);
  if (value.latents.empty()) return std::nullopt;
  return Problem{path, "expected either this or data.source.manifest, got both"};
}

std::optional<std::string> LatentsPath::write(const DataOptions& value, int indent) const {
  return value.source.manifest.empty() ? PathText{}.write(value.latents, indent) : std::nullopt;
}

void LineText::read(const Value& value, const std::string& path, std::string& out) const {
  read_text(value, path, "a text", out);
}

std::optional<Problem> LineText::check(const std::string& value, const std::string& path) const {
  if (core::first_control_character(value) == std::string::npos &&
      core::first_invalid_utf8(value) == std::string::npos)
    return std::nullopt;
  return Problem{path, "expected a text in UTF-8 without control characters, got " + quote(value)};
}

std::optional<std::string> LineText::write(const std::string& value, int /*indent*/) const {
  return write_text(value);
}

void LineList::read(const Value& value, const std::string& path, std::vector<std::string>& out) const {
  if (value.kind != Value::Kind::kList) fail_type(value, path, "a list of texts");
  out.assign(value.items.size(), "");
  for (std::size_t i = 0; i < out.size(); ++i)
    LineText{}.read(value.items[i], fmt::format("{}.{}", path, i), out[i]);
}

std::optional<Problem> LineList::check(const std::vector<std::string>& value, const std::string& path) const {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (auto problem = LineText{}.check(value[i], fmt::format("{}.{}", path, i))) return problem;
  }
  return std::nullopt;
}

std::optional<std::string> LineList::write(const std::vector<std::string>& value, int /*indent*/) const {
  std::string out;
  for (const std::string& text : value) out += (out.empty() ? "[" : ", ") + write_text(text);
  return out.empty() ? "[]" : out + "]";
}

void NameText::read(const Value& value, const std::string& path, std::string& out) const {
  read_text(value, path, "a name", out);
}

std::optional<Problem> NameText::check(const std::string& value, const std::string& path) const {
  const bool clean = value.find_first_not_of(kNameCharacters) == std::string::npos;
  // "." and ".." mean something else to HDF5 and to file systems.
  const bool dots = value.find_first_not_of('.') == std::string::npos;
  if (clean && !dots && value.size() <= kMaxNameLength) return std::nullopt;
  return Problem{
      path, fmt::format("expected a name of 1 to {} characters A-Z a-z 0-9 _ . - (not dots alone), got {}",
                        kMaxNameLength, quote(value))};
}

std::optional<std::string> NameText::write(const std::string& value, int /*indent*/) const {
  return write_text(value);
}

void IntegerList::read(const Value& value, const std::string& path, std::vector<std::int64_t>& out) const {
  if (value.kind != Value::Kind::kList) fail_type(value, path, "a list of integers");
  out.resize(value.items.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    integer.read(value.items[i], fmt::format("{}.{}", path, i), out[i]);
}

std::optional<Problem> IntegerList::check(const std::vector<std::int64_t>& value,
                                          const std::string& path) const {
  if (value.empty()) return Problem{path, "expected at least one integer, got an empty list"};
  std::unordered_set<std::int64_t> seen;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string item = fmt::format("{}.{}", path, i);
    if (auto problem = integer.check(value[i], item)) return problem;
    if (!seen.insert(value[i]).second) return Problem{item, fmt::format("{} is listed twice", value[i])};
  }
  return std::nullopt;
}

std::optional<std::string> IntegerList::write(const std::vector<std::int64_t>& value, int /*indent*/) const {
  return fmt::format("[{}]", fmt::join(value, ", "));
}

void Threads::read(const Value& value, const std::string& path, std::int64_t& out) const {
  const auto number =
      value.kind == Value::Kind::kPlain ? parse_integer<std::int64_t>(value.text) : std::nullopt;
  if (!number && !(value.is_scalar() && value.text == "auto")) fail_type(value, path, kThreadsExpected);
  out = number.value_or(0);
}

std::optional<Problem> Threads::check(std::int64_t value, const std::string& path) const {
  if (value >= 0 && value <= kMaxThreads) return std::nullopt;
  return Problem{path, fmt::format("expected {}, got {}", kThreadsExpected, value)};
}

std::optional<std::string> Threads::write(std::int64_t value, int /*indent*/) const {
  return value == 0 ? "auto" : fmt::format("{}", value);
}

void Batch::read(const Value& value, const std::string& path, std::int64_t& out) const {
  const bool is_auto = value.is_scalar() && value.text == "auto";
  const auto number =
      value.kind == Value::Kind::kPlain ? parse_integer<std::int64_t>(value.text) : std::nullopt;
  if (!is_auto && !number) fail_type(value, path, kBatchExpected);
  out = number.value_or(0);
}

std::optional<Problem> Batch::check(std::int64_t value, const std::string& path) const {
  if (value >= 0 && value <= kMaxBatch) return std::nullopt;
  return Problem{path, fmt::format("expected {}, got {}", kBatchExpected, value)};
}

std::optional<std::string> Batch::write(std::int64_t value, int /*indent*/) const {
  return value == 0 ? "auto" : fmt::format("{}", value);
}

void MemorySize::read(const Value& value, const std::string& path, MemoryOptions& out) const {
  const auto memory = value.is_scalar() ? try_parse_memory(value.text) : std::nullopt;
  if (!memory) fail_type(value, path, kMemoryExpected);
  out = *memory;
}

std::optional<Problem> MemorySize::check(const MemoryOptions& value, const std::string& path) const {
  if (value.budget_bytes && value.budget_percent) {
    return Problem{path, "expected bytes or a percentage, got both"};
  }
  if (value.budget_bytes && *value.budget_bytes < 1) {
    return Problem{path, fmt::format("expected at least 1 byte, got {}", *value.budget_bytes)};
  }
  if (value.budget_percent && !(*value.budget_percent > 0 && *value.budget_percent <= 100)) {
    return Problem{path, fmt::format("expected a percentage in (0, 100], got {}", *value.budget_percent)};
  }
  return std::nullopt;
}

std::optional<std::string> MemorySize::write(const MemoryOptions& value, int /*indent*/) const {
  return format_memory(value);
}

void Filter::read(const Value& value, const std::string& path, SliceOptions& out) const {
  if (value.kind == Value::Kind::kNull) {
    out.filter = SliceFilterKind::kAll;
  } else if (value.is_scalar() && value.text == "energy_above_median") {
    out.filter = SliceFilterKind::kEnergyAboveMedian;
  } else if (const auto range = value.is_scalar() ? parse_pos_frac(value.text) : std::nullopt) {
    out.filter = SliceFilterKind::kPosFrac;
    out.pos_frac_min = range->first;
    out.pos_frac_max = range->second;
  } else {
    fail_type(value, path, kFilterExpected);
  }
}

std::optional<Problem> Filter::check(const SliceOptions& value, const std::string& path) const {
  if (value.filter != SliceFilterKind::kPosFrac) return std::nullopt;
  if (value.pos_frac_min >= 0 && value.pos_frac_min <= value.pos_frac_max && value.pos_frac_max <= 1) {
    return std::nullopt;
  }
  return Problem{path, fmt::format("expected {}, got \"{}\"", kFilterExpected, filter_name(value))};
}

std::optional<std::string> Filter::write(const SliceOptions& value, int /*indent*/) const {
  return filter_name(value);
}

}  // namespace phase0::config
