#include "config/overrides.h"

#include <fmt/format.h>

#include "config/field.h"
#include "config/load.h"
#include "config/number.h"
#include "config/schema.h"

namespace phase0::config {
namespace {

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> segments(1);
  for (const char c : path) {
    if (c == '.') {
      segments.emplace_back();
    } else {
      segments.back() += c;
    }
  }
  return segments;
}

/// The value of a path of keys in the dumped defaults, or null.
Value default_value(const std::string& path) {
  Value defaults = parse_document(dump(default_options()), "defaults");
  Value* at = &defaults;
  for (const std::string& key : split_path(path)) {
    at = at->find(key);
    if (at == nullptr) return {};
  }
  return *at;
}

/// More than any key has; each part is a level of the document that it is put into.
constexpr std::size_t kMaxParts = 16;

class Override {
 public:
  explicit Override(const std::string& text) {
    const std::size_t equals = text.find('=');
    path_ = text.substr(0, equals);
    segments_ = split_path(path_);
    place_.source = std::make_shared<const std::string>("--set " + quote(text));
    bool named = equals != std::string::npos;
    for (const std::string& segment : segments_) named = named && !segment.empty();
    if (!named) fail_at(place_, "", "expected KEY=VALUE with a key such as clustering.kmeans.n_init");
    if (segments_.size() > kMaxParts) {
      fail_at(place_, "", fmt::format("the key has {} parts, at most {} work", segments_.size(), kMaxParts));
    }
    value_ = parse_document(text.substr(equals + 1), *place_.source, false);
  }

  void apply(Value& root) {
    Value* at = &root;
    std::string path;
    for (const std::string& segment : segments_) {
      at = &child(*at, path, segment);
      path = join_path(path, segment);
    }
    *at = std::move(value_);
  }

 private:
  /// The element `segment` of `parent`, made if need be.
  Value& child(Value& parent, const std::string& path, const std::string& segment) {
    const auto index = parse_integer<std::size_t>(segment);
    if (parent.kind == Value::Kind::kNull && index) parent = default_value(path);
    if (parent.kind == Value::Kind::kNull) {
      parent.kind = Value::Kind::kMap;
      parent.place = place_;
    }
    if (parent.kind == Value::Kind::kList) {
      if (index && *index < parent.items.size()) return parent.items[*index];
      fail_at(place_, path_,
              fmt::format("{} is a list of {}; {} is not one of its elements, which count from 0", path,
                          parent.items.size(), quote(segment)));
    }
    if (parent.kind != Value::Kind::kMap) {
      fail_at(place_, path_, fmt::format("{} is {}, which has no keys", path, parent.describe()));
    }
    if (Value* const known = parent.find(segment)) return *known;
    parent.keys.push_back({segment, place_});
    parent.items.emplace_back();
    return parent.items.back();
  }

  std::string path_;
  std::vector<std::string> segments_;
  Place place_;
  Value value_;
};

}  // namespace

void apply_override(Value& root, const std::string& override_text) {
  Override(override_text).apply(root);
}

}  // namespace phase0::config
