#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "phase0/error.h"

namespace phase0::config {

/// Where a value was written: a file and line, or an override (`--set a.b=c`, no line).
struct Place {
  std::shared_ptr<const std::string> source;
  std::int64_t line = -1;  ///< from 1; -1: unknown

  ErrorPlace to_error_place() const;
};

/// A node of a YAML document as it was written: scalars keep their text, maps their order, everything its
/// place.
struct Value {
  enum class Kind { kNull, kPlain, kQuoted, kList, kMap };
  struct Key {
    std::string text;
    Place place;
  };

  Kind kind = Kind::kNull;
  Place place;
  std::string text;          ///< of a scalar
  std::vector<Key> keys;     ///< of a map; keys[i] belongs to items[i]
  std::vector<Value> items;  ///< of a list or a map

  bool is_scalar() const { return kind == Kind::kPlain || kind == Kind::kQuoted; }
  /// The map's value for `key`, or null.
  const Value* find(const std::string& key) const;
  Value* find(const std::string& key);
  /// What it is, for messages: `"abc"`, `the string "5"`, `a list`, `a mapping`, `nothing`.
  std::string describe() const;
};

/// Reads one YAML document. Throws Error (kConfig) with the line for bad syntax, duplicate keys, anchors and
/// aliases, tags, several documents, keys that are not text, and text that is too large, too deep or not
/// clean UTF-8. An empty text is a null. `line_numbers` off leaves lines unknown, as for an override.
Value parse_document(const std::string& text, const std::string& source, bool line_numbers = true);

/// `"text"`, cut when long and with control characters escaped, for messages.
std::string quote(const std::string& text);

}  // namespace phase0::config
