#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "config/field.h"
#include "config/names.h"
#include "config/number.h"

/// How values of each type are read, checked and written (the interface is described at Field).
namespace phase0::config {

/// Whole numbers in [min, max].
template <typename T = std::int64_t>
struct Integer {
  T min = std::numeric_limits<T>::min();
  T max = std::numeric_limits<T>::max();

  std::string expected() const {
    if (max == std::numeric_limits<std::int64_t>::max()) return fmt::format("an integer >= {}", min);
    return fmt::format("an integer from {} to {}", min, max);
  }
  void read(const Value& value, const std::string& path, T& out) const {
    const auto number = value.kind == Value::Kind::kPlain ? parse_integer<T>(value.text) : std::nullopt;
    if (!number) {
      const bool zeros = value.kind == Value::Kind::kPlain && has_leading_zero(value.text);
      fail_type(value, path, expected() + (zeros ? " without leading zeros" : ""));
    }
    out = *number;
  }
  std::optional<Problem> check(T value, const std::string& path) const {
    if (value >= min && value <= max) return std::nullopt;
    return Problem{path, fmt::format("expected {}, got {}", expected(), value)};
  }
  std::optional<std::string> write(T value, int /*indent*/) const { return fmt::format("{}", value); }
};

/// An integer where 0 stands for an absent key; 0 itself cannot be written.
struct AbsentIfZero {
  Integer<> integer;

  void read(const Value& value, const std::string& path, std::int64_t& out) const {
    integer.read(value, path, out);
    if (out == 0) fail_type(value, path, integer.expected());
  }
  std::optional<Problem> check(std::int64_t value, const std::string& path) const {
    return value == 0 ? std::nullopt : integer.check(value, path);
  }
  std::optional<std::string> write(std::int64_t value, int indent) const {
    return value == 0 ? std::nullopt : integer.write(value, indent);
  }
};

/// Finite numbers between two bounds, either of which may be excluded.
struct Real {
  double min = 0;
  bool above_min = false;                                ///< min itself is excluded
  double max = std::numeric_limits<double>::infinity();  ///< excluded

  std::string expected() const {
    if (std::isinf(max)) return fmt::format("a number {} {}", above_min ? ">" : ">=", min);
    return fmt::format("a number in {}{}, {})", above_min ? "(" : "[", min, max);
  }
  void read(const Value& value, const std::string& path, double& out) const {
    const auto number = value.kind == Value::Kind::kPlain ? parse_real(value.text) : std::nullopt;
    if (!number) fail_type(value, path, expected());
    out = *number;
  }
  std::optional<Problem> check(double value, const std::string& path) const {
    if (std::isfinite(value) && (above_min ? value > min : value >= min) && value < max) return std::nullopt;
    return Problem{path, fmt::format("expected {}, got {}", expected(), value)};
  }
  std::optional<std::string> write(double value, int /*indent*/) const { return format_real(value); }
};

/// One of the words of an enumeration.
template <typename E>
struct Choice {
  std::string expected() const {
    std::string words;
    for (const auto& [value, name] : Names<E>::kAll) words += (words.empty() ? "" : ", ") + std::string(name);
    return "one of " + words;
  }
  void read(const Value& value, const std::string& path, E& out) const {
    for (const auto& [candidate, name] : Names<E>::kAll) {
      if (value.is_scalar() && value.text == name) {
        out = candidate;
        return;
      }
    }
    fail_type(value, path, expected());
  }
  std::optional<Problem> check(E value, const std::string& path) const {
    for (const auto& [candidate, name] : Names<E>::kAll) {
      if (candidate == value) return std::nullopt;
    }
    return Problem{path, fmt::format("expected {}, got number {}", expected(), static_cast<int>(value))};
  }
  std::optional<std::string> write(E value, int /*indent*/) const { return to_string(value); }
};

/// A file or folder. With `optional`, null and the empty text both mean none.
struct PathText {
  bool optional = false;

  void read(const Value& value, const std::string& path, std::string& out) const;
  std::optional<Problem> check(const std::string& value, const std::string& path) const;
  std::optional<std::string> write(const std::string& value, int indent) const;
};

/// `data.latents`: required unless there is a source, and refused beside one.
struct LatentsPath {
  void read(const Value& value, const std::string& path, DataOptions& out) const;
  std::optional<Problem> check(const DataOptions& value, const std::string& path) const;
  std::optional<std::string> write(const DataOptions& value, int indent) const;
};

/// A text of one line, possibly empty.
struct LineText {
  void read(const Value& value, const std::string& path, std::string& out) const;
  std::optional<Problem> check(const std::string& value, const std::string& path) const;
  std::optional<std::string> write(const std::string& value, int indent) const;
};

/// A list of texts of one line each; numbers are taken as they are written.
struct LineList {
  void read(const Value& value, const std::string& path, std::vector<std::string>& out) const;
  std::optional<Problem> check(const std::vector<std::string>& value, const std::string& path) const;
  std::optional<std::string> write(const std::vector<std::string>& value, int indent) const;
};

/// The name of a condition or slice: it becomes an HDF5 group and a CSV field.
struct NameText {
  void read(const Value& value, const std::string& path, std::string& out) const;
  std::optional<Problem> check(const std::string& value, const std::string& path) const;
  std::optional<std::string> write(const std::string& value, int indent) const;
};

/// A list of integers, at least one, each at most once.
struct IntegerList {
  Integer<> integer;

  void read(const Value& value, const std::string& path, std::vector<std::int64_t>& out) const;
  std::optional<Problem> check(const std::vector<std::int64_t>& value, const std::string& path) const;
  std::optional<std::string> write(const std::vector<std::int64_t>& value, int indent) const;
};

/// A value that may be null. `omit` leaves a null out of dumps.
template <typename Inner>
struct Nullable {
  Inner inner;
  bool omit = false;

  template <typename T>
  void read(const Value& value, const std::string& path, std::optional<T>& out) const {
    out.reset();
    if (value.kind != Value::Kind::kNull) inner.read(value, path, out.emplace());
  }
  template <typename T>
  std::optional<Problem> check(const std::optional<T>& value, const std::string& path) const {
    return value ? inner.check(*value, path) : std::nullopt;
  }
  template <typename T>
  std::optional<std::string> write(const std::optional<T>& value, int indent) const {
    if (!value) return omit ? std::nullopt : std::optional<std::string>("null");
    return inner.write(*value, indent);
  }
};

/// `auto` (0) or a number of threads.
struct Threads {
  void read(const Value& value, const std::string& path, std::int64_t& out) const;
  std::optional<Problem> check(std::int64_t value, const std::string& path) const;
  std::optional<std::string> write(std::int64_t value, int indent) const;
};

/// `auto` (0) or a number of items.
struct Batch {
  void read(const Value& value, const std::string& path, std::int64_t& out) const;
  std::optional<Problem> check(std::int64_t value, const std::string& path) const;
  std::optional<std::string> write(std::int64_t value, int indent) const;
};

/// `auto`, a size or a percentage.
struct MemorySize {
  void read(const Value& value, const std::string& path, MemoryOptions& out) const;
  std::optional<Problem> check(const MemoryOptions& value, const std::string& path) const;
  std::optional<std::string> write(const MemoryOptions& value, int indent) const;
};

/// The filter of a slice: null, energy_above_median, pos_frac_A_B.
struct Filter {
  void read(const Value& value, const std::string& path, SliceOptions& out) const;
  std::optional<Problem> check(const SliceOptions& value, const std::string& path) const;
  std::optional<std::string> write(const SliceOptions& value, int indent) const;
};

/// A list of mappings, at least one, each with the keys of `table`.
template <typename S>
struct Records {
  Table<S> table;

  void read(const Value& value, const std::string& path, std::vector<S>& out) const {
    if (value.kind != Value::Kind::kList) fail_type(value, path, "a list of mappings");
    out.clear();
    out.resize(value.items.size());
    for (std::size_t i = 0; i < out.size(); ++i)
      read_record(value.items[i], fmt::format("{}.{}", path, i), out[i]);
  }
  void read_record(const Value& item, const std::string& path, S& out) const {
    if (item.kind != Value::Kind::kMap) fail_type(item, path, "a mapping of keys to values");
    read_fields(table, item, "", path, out);
    for (const Field<S>& field : table) {
      if (field.required && item.find(field.key) == nullptr) {
        fail_at(item.place, path, fmt::format("key \"{}\" is missing", field.key));
      }
    }
  }
  std::optional<Problem> check(const std::vector<S>& value, const std::string& path) const {
    if (value.empty()) return Problem{path, "expected at least one entry, got none"};
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (auto problem = check_fields(table, value[i], fmt::format("{}.{}", path, i))) return problem;
    }
    return std::nullopt;
  }
  std::optional<std::string> write(const std::vector<S>& value, int indent) const {
    std::string out;
    for (const S& record : value) {
      std::vector<std::string> parts;
      for (const Field<S>& field : table) {
        if (const auto text = field.write(record, 0)) parts.push_back(field.key + ": " + *text);
      }
      out += fmt::format("\n{:{}}- {{{}}}", "", indent + 2, fmt::join(parts, ", "));
    }
    return out;
  }
};

/// The same, but there may be none.
template <typename S>
struct OptionalRecords {
  Records<S> records;

  void read(const Value& value, const std::string& path, std::vector<S>& out) const {
    records.read(value, path, out);
  }
  std::optional<Problem> check(const std::vector<S>& value, const std::string& path) const {
    return value.empty() ? std::nullopt : records.check(value, path);
  }
  std::optional<std::string> write(const std::vector<S>& value, int indent) const {
    return value.empty() ? std::nullopt : records.write(value, indent);
  }
};

}  // namespace phase0::config
