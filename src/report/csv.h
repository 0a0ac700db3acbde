#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "report/figures.h"

namespace phase0::report {

/// A field as it stands in the file (RFC 4180). Strings that a spreadsheet would take for a formula (they
/// begin with = + - @ TAB or CR) get a leading single quote; undefined values are empty; numbers are in their
/// shortest exact form.
std::string csv_field(const Value& value);

/// Builds a CSV file: a header, then rows of as many fields, each line ended by a newline.
class CsvTable {
 public:
  explicit CsvTable(const std::vector<std::string>& columns);
  void row(const std::vector<Value>& fields);
  const std::string& text() const { return text_; }

 private:
  void line(const std::vector<Value>& fields);
  std::size_t n_columns_;
  std::string text_;
};

}  // namespace phase0::report
