#include "encoders/messages.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/checked.h"
#include "core/text.h"
#include "encoders/encoder_error.h"

namespace phase0::encoders {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8;                  // the library copies values by recursion
constexpr std::size_t kMaxEncoderName = 100;  // bytes
constexpr std::size_t kMaxMessage = 1000;     // of an encoder's own message

[[noreturn]] void fail(const std::string& what) {
  throw EncoderError(Failure::kProtocol, "breaks the protocol: " + what);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct TooDeep {};

Json parse_object(std::string_view line) {
  const auto limit_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw TooDeep{};
    return true;
  };
  Json json;
  try {
    json = Json::parse(line, limit_depth);
  } catch (const Json::exception&) {
    fail(fmt::format("expected a line of JSON, got \"{}\"", core::clipped(line)));
  } catch (const TooDeep&) {
    fail("JSON nested too deep");
  }
  if (!json.is_object()) fail(fmt::format("expected a JSON object, got \"{}\"", core::clipped(line)));
  return json;
}

const Json& member(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) fail(fmt::format("key \"{}\" is missing", key));
  return *found;
}

/// A whole number from `min` to `max`; nothing for anything else.
std::optional<std::int64_t> whole(const Json& value, std::int64_t min, std::int64_t max) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(max)) return {};
  if (!value.is_number_integer()) return {};
  const auto number = value.get<std::int64_t>();
  return number >= min && number <= max ? std::optional(number) : std::nullopt;
}

std::int64_t integer(const Json& json, const char* key, std::int64_t min, std::int64_t max) {
  const Json& value = member(json, key);
  const auto number = whole(value, min, max);
  if (!number) {
    fail(fmt::format("{}: expected a whole number from {} to {}, got {}", key, min, max,
                     core::clipped(dump(value))));
  }
  return *number;
}

std::string text(const Json& json, const char* key) {
  const Json& value = member(json, key);
  if (!value.is_string()) fail(fmt::format("{}: expected a text, got {}", key, core::clipped(dump(value))));
  return value.get<std::string>();
}

std::string name(const Json& json) {
  const std::string name = text(json, "name");
  const bool clean = core::first_control_character(name) == std::string::npos;
  if (name.empty() || name.size() > kMaxEncoderName || !clean)
    fail(fmt::format("name: expected 1 to {} bytes without control characters", kMaxEncoderName));
  return name;
}

template <typename E>
E choice(const Json& json, const char* key, const std::initializer_list<E>& values) {
  const std::string word = text(json, key);
  std::string expected;
  for (const E value : values) {
    if (word == to_string(value)) return value;
    expected += (expected.empty() ? "" : " or ") + std::string(to_string(value));
  }
  fail(fmt::format("{}: expected {}, got \"{}\"", key, expected, core::clipped(word)));
}

double frame_rate(const Json& json) {
  const Json& value = member(json, "frame_rate_hz");
  const double rate = value.is_number() ? value.get<double>() : 0;
  if (!(rate > 0) || !std::isfinite(rate))
    fail(fmt::format("frame_rate_hz: expected a number above 0, got {}", core::clipped(dump(value))));
  return rate;
}

void require_type(const Json& json, const char* wanted) {
  const std::string type = text(json, "type");
  if (type != wanted)
    fail(fmt::format("expected a message of type \"{}\", got \"{}\"", wanted, core::clipped(type)));
}

[[noreturn]] void throw_error(const Json& json, std::int64_t n_items) {
  const std::string kind = text(json, "kind");
  const std::string message = core::clipped(text(json, "message"), kMaxMessage);
  if (kind == "oom") throw EncoderError(Failure::kOutOfMemory, "out of memory: " + message);
  if (kind == "input") {
    throw EncoderError(Failure::kInput, "input: " + message, integer(json, "item", 0, n_items - 1));
  }
  if (kind == "internal") throw EncoderError(Failure::kInternal, "internal error: " + message);
  fail(fmt::format("kind: expected oom, input or internal, got \"{}\"", core::clipped(kind)));
}

}  // namespace

const char* to_string(Failure failure) {
  switch (failure) {
    case Failure::kOutOfMemory:
      return "oom";
    case Failure::kInput:
      return "input";
    case Failure::kInternal:
      return "internal";
    case Failure::kTimeout:
      return "timeout";
    case Failure::kEnded:
      return "ended";
    case Failure::kKilled:
      return "killed";
    case Failure::kProtocol:
      return "protocol";
    case Failure::kRows:
      return "rows";
    case Failure::kTooLarge:
      return "too large";
  }
  return "unknown";
}

const char* to_string(ItemKind kind) {
  return kind == ItemKind::kText ? "text" : "wav";
}

std::string hello_line(const std::string& device, int threads) {
  return dump({{"type", "hello"}, {"protocol", 1}, {"device", device}, {"threads", threads}}) + "\n";
}

std::string encode_line(std::int64_t id, std::span<const std::string_view> items) {
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  for (const std::string_view item : items) {
    sizes.push_back(item.size());
    total += item.size();
  }
  return dump({{"type", "encode"}, {"id", id}, {"items", sizes}, {"bytes", total}}) + "\n";
}

std::string bye_line() {
  return dump({{"type", "bye"}}) + "\n";
}

Hello parse_hello(std::string_view line) {
  const Json json = parse_object(line);
  if (json.value("type", Json()) == "error") throw_error(json, 0);
  require_type(json, "hello");
  integer(json, "protocol", 1, 1);
  Hello hello;
  hello.name = name(json);
  hello.input = choice(json, "input", {ItemKind::kText, ItemKind::kWav});
  hello.dim = integer(json, "dim", 1, kMaxDim);
  hello.dtype = choice(json, "dtype", {store::ElementType::kFloat32, store::ElementType::kFloat16});
  hello.frame_rate_hz = frame_rate(json);
  hello.max_items = integer(json, "max_items", 1, kMaxItems);
  hello.max_item_bytes = integer(json, "max_item_bytes", 1, kMaxItemBytes);
  hello.max_item_frames = integer(json, "max_item_frames", 1, kMaxItemFrames);
  return hello;
}

RowsHeader parse_rows(std::string_view line, const Hello& hello, const Question& question) {
  const Json json = parse_object(line);
  const std::int64_t id = integer(json, "id", 0, std::int64_t{1} << 53);
  if (id != question.id) fail(fmt::format("id: expected {}, got {}", question.id, id));
  if (json.value("type", Json()) == "error") throw_error(json, question.n_items);
  require_type(json, "rows");
  const Json& frames = member(json, "frames");
  if (!frames.is_array()) fail("frames: expected a list of numbers");
  if (std::ssize(frames) != question.n_items) {
    throw EncoderError(Failure::kRows,
                       fmt::format("frames for {} items, but {} were sent", frames.size(), question.n_items));
  }
  RowsHeader header;
  for (const Json& value : frames) {
    const auto count = whole(value, 0, hello.max_item_frames);
    if (!count) {
      throw EncoderError(Failure::kRows, fmt::format("frames: expected whole numbers from 0 to {}, got {}",
                                                     hello.max_item_frames, core::clipped(dump(value))));
    }
    header.frames.push_back(*count);
    header.n_rows += *count;
  }
  header.n_bytes = core::checked_mul(header.n_rows, hello.row_bytes(), "the rows of an encoder");
  const std::int64_t bytes = integer(json, "bytes", 0, std::int64_t{1} << 53);
  if (bytes != header.n_bytes) {
    throw EncoderError(Failure::kRows,
                       fmt::format("{} bytes for {} frames of {}", bytes, header.n_rows, hello.row_bytes()));
  }
  return header;
}

}  // namespace phase0::encoders
