#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/value.h"

namespace phase0::config {

/// What is wrong with an option, and its key (`clustering.conditions.1.k`).
struct Problem {
  std::string path;
  std::string message;  ///< without the key
};

/// One key of a configuration: how it is read, checked and written. `S` is the struct that the key is a part
/// of. A codec of T has read(value, path, T&), which throws Error (kConfig) for a wrong type; check(T, path);
/// and write(T, indent), which leaves a key out of a dump by giving nothing.
template <typename S>
struct Field {
  std::string key;  ///< dotted, from S on
  std::function<void(const Value&, const std::string& path, S&)> read;
  std::function<std::optional<Problem>(const S&, const std::string& path)> check;
  std::function<std::optional<std::string>(const S&, int indent)> write;
  bool required = false;
};

template <typename S>
using Table = std::vector<Field<S>>;

/// A field whose place in S is given by `get`, a generic lambda from (const) S& to (const) T&.
template <typename S, typename Get, typename Codec>
Field<S> make_field(std::string key, Get get, Codec codec, bool required = false) {
  return {std::move(key),
          [get, codec](const Value& value, const std::string& path, S& out) {
            codec.read(value, path, get(out));
          },
          [get, codec](const S& in, const std::string& path) { return codec.check(get(in), path); },
          [get, codec](const S& in, int indent) { return codec.write(get(in), indent); }, required};
}

/// Throws Error (kConfig): `path: message`, at the value's place.
[[noreturn]] void fail_at(const Place& place, const std::string& path, const std::string& message);
/// Throws Error (kConfig): `path: expected E, got V`.
[[noreturn]] void fail_type(const Value& value, const std::string& path, const std::string& expected);

inline std::string join_path(const std::string& prefix, const std::string& key) {
  return prefix.empty() ? key : prefix + "." + key;
}

/// Reads the keys of `map` that lie in `section` of the table (empty: its root) into `out`. A null is an
/// empty map. Unknown keys are errors. `prefix` is the path of S in messages.
template <typename S>
void read_fields(const Table<S>& table, const Value& map, const std::string& section,
                 const std::string& prefix, S& out);

/// The first field that fails its check.
template <typename S>
std::optional<Problem> check_fields(const Table<S>& table, const S& in, const std::string& prefix) {
  for (const Field<S>& field : table) {
    if (auto problem = field.check(in, join_path(prefix, field.key))) return problem;
  }
  return std::nullopt;
}

/// Keys one level below `section`, and where else in the table a word stands: the material of suggestions.
std::vector<std::string> keys_in_section(const std::vector<std::string>& all, const std::string& section);
[[noreturn]] void fail_unknown(const Value::Key& key, const std::vector<std::string>& all,
                               const std::string& section, const std::string& prefix);

/// A section whose other keys belong to someone else.
inline bool is_open_section(const std::string& section) {
  return section == "vae";
}

template <typename S>
void read_fields(const Table<S>& table, const Value& map, const std::string& section,
                 const std::string& prefix, S& out) {
  if (map.kind == Value::Kind::kNull) return;
  const std::string path = prefix.empty() || section.empty() ? prefix + section : prefix + "." + section;
  if (map.kind != Value::Kind::kMap) fail_type(map, path, "a mapping of keys to values");
  std::vector<std::string> all;
  for (const Field<S>& field : table) all.push_back(field.key);
  for (std::size_t i = 0; i < map.keys.size(); ++i) {
    const std::string& key = map.keys[i].text;
    const std::string full = join_path(section, key);
    const bool plain = !key.empty() && key.find('.') == std::string::npos;
    const Field<S>* match = nullptr;
    bool is_section = false;
    for (const Field<S>& field : table) {
      if (plain && field.key == full) match = &field;
      is_section = is_section || (plain && field.key.starts_with(full + "."));
    }
    if (match != nullptr) {
      match->read(map.items[i], join_path(prefix, full), out);
    } else if (is_section) {
      read_fields(table, map.items[i], full, prefix, out);
    } else if (!is_open_section(section)) {
      fail_unknown(map.keys[i], all, section, prefix);
    }
  }
}

}  // namespace phase0::config
