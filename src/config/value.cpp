#include "config/value.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "core/text.h"

namespace phase0::config {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxKeys = 1000;

[[noreturn]] void fail(const Place& place, const std::string& message) {
  throw Error(ErrorKind::kConfig, message, place.to_error_place());
}

/// Builds the tree from the parser's events. Events come before deeper ones are parsed, so that the depth
/// limit also bounds the parser's own recursion.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const std::string> source, bool line_numbers)
      : source_(std::move(source)), line_numbers_(line_numbers) {}

  Value take_root() {
    return root_ ? std::move(*root_) : Value{Value::Kind::kNull, {source_, -1}, {}, {}, {}};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true)) fail(place(mark), "expected a single YAML document, got a second one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    attach({Value::Kind::kNull, place(mark), {}, {}, {}});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    fail(place(mark), "YAML aliases (*name) are not accepted; write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    attach({tag == "!" ? Value::Kind::kQuoted : Value::Kind::kPlain, place(mark), text, {}, {}});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    begin(Value::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    begin(Value::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  Place place(const YAML::Mark& mark) const {
    return {source_, line_numbers_ && mark.line >= 0 ? std::int64_t{mark.line} + 1 : -1};
  }

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) fail(place(mark), "YAML anchors (&name) are not accepted");
  }

  // "?" stands for a plain node and "!" for a quoted scalar, both without a tag of their own.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(place(mark), fmt::format("YAML tags are not accepted, got {}", quote(tag)));
    }
  }

  void begin(Value::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (open_.size() >= kMaxDepth) fail(place(mark), fmt::format("nested deeper than {} levels", kMaxDepth));
    open_.push_back({kind, place(mark), {}, {}, {}});
  }

  void end() {
    Value value = std::move(open_.back());
    open_.pop_back();
    attach(std::move(value));
  }

  void attach(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Value& parent = open_.back();
    if (parent.kind == Value::Kind::kMap && parent.keys.size() == parent.items.size()) {
      add_key(parent, std::move(value));
      return;
    }
    // A collection begins on the line after its key, and the mark of an empty value is the next token's.
    if (parent.kind == Value::Kind::kMap && !value.is_scalar()) value.place = parent.keys.back().place;
    parent.items.push_back(std::move(value));
  }

  static void add_key(Value& map, Value key) {
    if (!key.is_scalar()) fail(key.place, fmt::format("expected a key, got {}", key.describe()));
    for (const Value::Key& known : map.keys) {
      if (known.text != key.text) continue;
      const std::string first =
          known.place.line >= 0 ? fmt::format(" (first on line {})", known.place.line) : "";
      fail(key.place, fmt::format("duplicate key {}{}", quote(key.text), first));
    }
    if (map.keys.size() >= kMaxKeys)
      fail(key.place, fmt::format("more than {} keys in one mapping", kMaxKeys));
    map.keys.push_back({std::move(key.text), key.place});
  }

  std::shared_ptr<const std::string> source_;
  bool line_numbers_;
  bool started_ = false;
  std::vector<Value> open_;
  std::optional<Value> root_;
};

/// yaml-cpp ends its input at a stray 0x04 and guesses at other encodings: nothing but clean UTF-8 reaches
/// it.
void check_text(const std::string& text, const std::shared_ptr<const std::string>& source,
                bool line_numbers) {
  if (text.size() > kMaxBytes) {
    fail({source, -1}, fmt::format("larger than the limit of 1 MiB for a configuration"));
  }
  std::size_t bad = core::first_control_character(text, "\t\n\r");
  std::string problem = "control character";
  if (const std::size_t invalid = core::first_invalid_utf8(text); invalid < bad) {
    bad = invalid;
    problem = "invalid UTF-8";
  }
  if (bad == std::string::npos) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
  // U+0080 to U+009F are the byte C2 and their number.
  const bool second = problem == "control character" && text[bad] == '\xc2';
  const auto byte = static_cast<unsigned char>(text[second ? bad + 1 : bad]);
  fail({source, line_numbers ? line : -1}, fmt::format("{} 0x{:02x}; expected UTF-8 text", problem, byte));
}

}  // namespace

ErrorPlace Place::to_error_place() const {
  ErrorPlace result;
  if (source) result.path = *source;
  result.line = line;
  return result;
}

const Value* Value::find(const std::string& key) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

Value* Value::find(const std::string& key) {
  return const_cast<Value*>(std::as_const(*this).find(key));  // NOLINT: the object is not const
}

std::string Value::describe() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing (null)";
    case Kind::kPlain:
      return quote(text);
    case Kind::kQuoted:
      return "the quoted string " + quote(text);
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a mapping";
  }
  return {};
}

Value parse_document(const std::string& text, const std::string& source_name, bool line_numbers) {
  const auto source = std::make_shared<const std::string>(source_name);
  check_text(text, source, line_numbers);
  TreeBuilder builder(source, line_numbers);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    // A second document ends in the builder's error, so this loop is short whatever the text.
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& error) {
    const bool known = line_numbers && error.mark.line >= 0;
    fail({source, known ? std::int64_t{error.mark.line} + 1 : -1}, "invalid YAML: " + error.msg);
  }
  return builder.take_root();
}

std::string quote(const std::string& text) {
  constexpr std::size_t kMaxShown = 80;
  return '"' + core::printable(core::clipped(text, kMaxShown)) + '"';
}

}  // namespace phase0::config
