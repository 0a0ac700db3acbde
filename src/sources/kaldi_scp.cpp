#include "sources/kaldi_scp.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "sources/text_lines.h"

namespace phase0::sources {
namespace {

/// A number that is the whole text, not negative.
template <typename T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// `10:20` or `:`.
std::optional<KaldiRange> parse_span(std::string_view text) {
  if (text == ":") return KaldiRange{};
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto first = parse_whole<std::int32_t>(text.substr(0, colon));
  const auto last = parse_whole<std::int32_t>(text.substr(colon + 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return KaldiRange{*first, *last};
}

/// `ROWS` or `ROWS,COLUMNS`, what stands between the brackets.
bool parse_range(std::string_view text, KaldiPointer& pointer) {
  const std::size_t comma = text.find(',');
  const auto rows = parse_span(text.substr(0, comma));
  const auto columns = comma == std::string_view::npos ? KaldiRange{} : parse_span(text.substr(comma + 1));
  if (!rows || !columns) return false;
  pointer.rows = *rows;
  pointer.columns = *columns;
  pointer.has_range = true;
  return true;
}

}  // namespace

KaldiPointer parse_scp_line(std::string_view line, const std::string& scp_path, std::int64_t number) {
  KaldiPointer pointer;
  pointer.id = take_word(line);
  if (pointer.id.empty() || line.empty()) fail_line(scp_path, number, "`ID FILE:OFFSET` was expected");
  if (line.starts_with('|') || line.ends_with('|')) {
    fail_line(scp_path, number, "is a command; phase0 reads files only and never runs one");
  }
  if (line.ends_with(']')) {
    const std::size_t bracket = line.rfind('[');
    if (bracket == std::string_view::npos ||
        !parse_range(line.substr(bracket + 1, line.size() - bracket - 2), pointer)) {
      fail_line(scp_path, number, "a range such as [10:20] or [10:20,0:39] was expected");
    }
    line = trimmed(line.substr(0, bracket));
  }
  const std::size_t colon = line.rfind(':');
  if (colon != std::string_view::npos) {
    const auto offset = parse_whole<std::int64_t>(line.substr(colon + 1));
    if (!offset) fail_line(scp_path, number, "the offset behind ':' is no number");
    pointer.offset = *offset;
    line = line.substr(0, colon);
  }
  if (line.empty() || line == "-") fail_line(scp_path, number, "names no file");
  pointer.path = line;
  return pointer;
}

}  // namespace phase0::sources
