#include "config/field.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/suggest.h"

namespace phase0::config {

void fail_at(const Place& place, const std::string& path, const std::string& message) {
  throw Error(ErrorKind::kConfig, path.empty() ? message : path + ": " + message, place.to_error_place());
}

void fail_type(const Value& value, const std::string& path, const std::string& expected) {
  fail_at(value.place, path, fmt::format("expected {}, got {}", expected, value.describe()));
}

std::vector<std::string> keys_in_section(const std::vector<std::string>& all, const std::string& section) {
  const std::string start = section.empty() ? "" : section + ".";
  std::vector<std::string> keys;
  for (const std::string& path : all) {
    if (!path.starts_with(start)) continue;
    const std::string key = path.substr(start.size(), path.find('.', start.size()) - start.size());
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

void fail_unknown(const Value::Key& key, const std::vector<std::string>& all, const std::string& section,
                  const std::string& prefix) {
  const std::string path = prefix.empty() || section.empty() ? prefix + section : prefix + "." + section;
  const std::vector<std::string> known = keys_in_section(all, section);
  std::string hint = suggestion(key.text, known);
  // A known word in the wrong section is worth more than the nearest word of this one.
  for (const std::string& candidate : all) {
    if (candidate == key.text || candidate.ends_with("." + key.text)) {
      hint = fmt::format("; did you mean \"{}\"?", join_path(prefix, candidate));
    }
  }
  if (std::find(all.begin(), all.end(), key.text) != all.end() && key.text.find('.') != std::string::npos) {
    hint = "; in a file a key stands below its section, not behind a dot";
  }
  const std::string where = path.empty() ? "at the top level" : "in " + path;
  fail_at(key.place, "", fmt::format("unknown key {} {}{}", quote(key.text), where, hint));
}

}  // namespace phase0::config
