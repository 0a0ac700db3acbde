#include "report/csv.h"

#include "core/check.h"
#include "report/number.h"

namespace phase0::report {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string string_field(std::string text) {
  constexpr std::string_view kFormulaStarts = "=+-@\t\r";
  if (!text.empty() && kFormulaStarts.find(text.front()) != std::string_view::npos) text.insert(0, 1, '\'');
  return text.find_first_of(",\"\r\n") == std::string::npos ? text : quoted(text);
}

}  // namespace

std::string csv_field(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value)) return shortest(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return string_field(*text);
  return {};
}

CsvTable::CsvTable(const std::vector<std::string>& columns) : n_columns_(columns.size()) {
  line(std::vector<Value>(columns.begin(), columns.end()));
}

void CsvTable::row(const std::vector<Value>& fields) {
  PHASE0_CHECK(fields.size() == n_columns_);
  line(fields);
}

void CsvTable::line(const std::vector<Value>& fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) text_ += ',';
    text_ += csv_field(fields[i]);
  }
  text_ += '\n';
}

}  // namespace phase0::report
