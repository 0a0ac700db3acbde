#include <fmt/format.h>

#include <algorithm>

#include "config/load.h"
#include "config/schema.h"

namespace phase0::config {
namespace {

std::vector<std::string> split_key(const std::string& key) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    parts.push_back(key.substr(begin, dot - begin));
    begin = dot + 1;
  }
  parts.push_back(key.substr(begin));
  return parts;
}

}  // namespace

std::string dump(const Options& options) {
  std::string out;
  std::vector<std::string> open;  // the sections around the last key
  for (const Field<Options>& field : options_table()) {
    std::vector<std::string> parts = split_key(field.key);
    const std::string key = parts.back();
    parts.pop_back();
    const int indent = 2 * static_cast<int>(parts.size());
    const auto text = field.write(options, indent);
    if (!text) continue;
    const auto [old_end, new_begin] = std::mismatch(open.begin(), open.end(), parts.begin(), parts.end());
    for (auto section = new_begin; section != parts.end(); ++section) {
      out += fmt::format("{:{}}{}:\n", "", 2 * (section - parts.begin()), *section);
    }
    out += fmt::format("{:{}}{}:{}{}\n", "", indent, key, text->starts_with('\n') ? "" : " ", *text);
    open = std::move(parts);
  }
  return out;
}

}  // namespace phase0::config
