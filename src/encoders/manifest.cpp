#include "encoders/manifest.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "store/atomic_file.h"
#include "store/utf8.h"

namespace phase0::encoders {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMaxManifestLine = std::int64_t{1} << 26;
constexpr std::int64_t kMaxTextFile = std::int64_t{1} << 26;
constexpr std::int64_t kBlockBytes = std::int64_t{1} << 18;
constexpr std::size_t kMaxIdBytes = 4096;
constexpr int kDeepest = 2;  // {"chunks": ["text"]}

struct NestedTooDeep {};

/// What a line holds.
struct Line {
  std::string id, speaker;
  std::vector<std::string> chunks;
  std::optional<std::string> path;
};

class LineParser {
 public:
  explicit LineParser(ErrorPlace place) : place_(std::move(place)) {}

  Line parse(const std::string& text) const {
    const Json json = read(text);
    for (const auto& [key, value] : json.items()) {
      if (key != "id" && key != "speaker" && key != "chunks" && key != "path")
        fail(fmt::format("unknown key \"{}\"; known are id, speaker, chunks and path", key));
    }
    Line line;
    line.id = name(json, "id", false);
    line.speaker = name(json, "speaker", true);
    if (json.contains("chunks") == json.contains("path")) fail("expected either chunks or path");
    if (json.contains("path")) {
      line.path = name(json, "path", false);
    } else {
      line.chunks = chunks(json.at("chunks"));
    }
    return line;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw Error(ErrorKind::kData, message, place_); }

  Json read(const std::string& text) const {
    const auto limit_depth = [](int depth, Json::parse_event_t, Json&) {
      if (depth > kDeepest) throw NestedTooDeep{};
      return true;
    };
    try {
      Json json = Json::parse(text, limit_depth);
      if (!json.is_object()) fail("expected a JSON object");
      return json;
    } catch (const Json::exception&) {
      fail("not a line of JSON");
    } catch (const NestedTooDeep&) {
      fail("nested too deep");
    }
  }

  std::string name(const Json& json, const char* key, bool or_integer) const {
    const auto found = json.find(key);
    if (found == json.end()) fail(fmt::format("key \"{}\" is missing", key));
    if (or_integer && found->is_number_integer()) return found->dump();
    if (!found->is_string())
      fail(fmt::format("{}: expected a text{}", key, or_integer ? " or an integer" : ""));
    std::string text = found->get<std::string>();
    if (text.empty() || text.size() > kMaxIdBytes || text.find('\0') != std::string::npos)
      fail(fmt::format("{}: expected 1 to {} bytes without a zero byte", key, kMaxIdBytes));
    return text;
  }

  std::vector<std::string> chunks(const Json& json) const {
    if (!json.is_array() || json.empty()) fail("chunks: expected a list of texts, at least one");
    std::vector<std::string> texts;
    for (const Json& chunk : json) {
      if (!chunk.is_string()) fail(fmt::format("chunks: number {} is no text", texts.size()));
      texts.push_back(chunk.get<std::string>());
    }
    return texts;
  }

  ErrorPlace place_;
};

/// Calls `take(offset, line)` for every line of a file, the last one with or without a newline.
template <typename Take>
void for_each_line(const store::FileDescriptor& file, const std::string& path, const Take& take) {
  const std::int64_t size = store::file_size(file, path);
  std::string buffer;
  std::size_t begin = 0;  // of the line in the buffer
  std::int64_t line = 1;
  for (std::int64_t read = 0; read < size || begin < buffer.size();) {
    const auto end = buffer.find('\n', begin);
    if (end == std::string::npos && read < size) {
      buffer.erase(0, std::exchange(begin, 0));
      if (std::ssize(buffer) > kMaxManifestLine)
        throw Error(ErrorKind::kData, fmt::format("longer than {} bytes", kMaxManifestLine),
                    {.path = path, .line = line});
      const std::int64_t count = std::min(kBlockBytes, size - read);
      const std::size_t before = buffer.size();
      buffer.resize(before + static_cast<std::size_t>(count));
      store::read_exactly(file, read, count, buffer.data() + before, path, ErrorKind::kData);
      read += count;
      continue;
    }
    const std::size_t length = std::min(end, buffer.size()) - begin;
    const std::int64_t offset = read - std::ssize(buffer) + static_cast<std::int64_t>(begin);
    take(offset, line++, buffer.substr(begin, length));
    begin = std::min(begin + length + 1, buffer.size());
  }
}

std::vector<std::string> lines_of_text(const std::string& path, const ErrorPlace& place) {
  std::string text;
  try {
    text = store::read_file(path, kMaxTextFile);
  } catch (const Error& error) {
    throw Error(ErrorKind::kData, path + ": " + error.message(), place);
  }
  if (!store::is_valid_utf8(text)) throw Error(ErrorKind::kData, path + ": not UTF-8", place);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t length = end > begin && text[end - 1] == '\r' ? end - begin - 1 : end - begin;
    if (length > 0) lines.push_back(text.substr(begin, length));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

Manifest::Manifest(const std::string& path)
    : path_(path), file_(store::open_regular_file(path, ErrorKind::kData)) {}

Manifest Manifest::open(const std::string& path) {
  Manifest manifest(path);
  std::unordered_map<std::string, std::int64_t> lines;
  for_each_line(manifest.file_, path, [&](std::int64_t offset, std::int64_t number, const std::string& text) {
    const ErrorPlace place{.path = path, .line = number};
    Line line = LineParser(place).parse(text);
    const auto [first, is_new] = lines.emplace(line.id, number);
    if (!is_new)
      throw Error(ErrorKind::kData,
                  fmt::format("id \"{}\" stands in line {} already", line.id, first->second), place);
    std::error_code ignored;
    if (line.path && !std::filesystem::is_regular_file(*line.path, ignored))
      throw Error(ErrorKind::kData, fmt::format("there is no file {}", *line.path), place);
    manifest.entries_.push_back({std::move(line.id), std::move(line.speaker), offset, std::ssize(text)});
  });
  if (manifest.entries_.empty()) throw Error(ErrorKind::kData, "holds no sequence", {.path = path});
  return manifest;
}

std::vector<std::string> Manifest::items(std::size_t entry, ItemKind kind,
                                         std::int64_t max_item_bytes) const {
  const ManifestEntry& known = entries_[entry];
  const ErrorPlace place{.path = path_, .utterance = known.id};
  std::string text(static_cast<std::size_t>(known.n_bytes), '\0');
  store::read_exactly(file_, known.offset, known.n_bytes, text.data(), path_, ErrorKind::kData);
  const Line line = LineParser(place).parse(text);
  if (line.id != known.id) throw Error(ErrorKind::kData, "the file has changed while it was read", place);
  std::vector<std::string> items = line.chunks;
  if (kind == ItemKind::kWav) {
    if (!line.path)
      throw Error(ErrorKind::kData, "the encoder takes wav files, and this has chunks of text", place);
    items = {std::filesystem::absolute(*line.path).string()};
  } else if (line.path) {
    items = lines_of_text(*line.path, place);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (std::ssize(items[i]) > max_item_bytes) {
      throw Error(
          ErrorKind::kData,
          fmt::format("item {} has {} bytes, the encoder takes {}", i, items[i].size(), max_item_bytes),
          place);
    }
  }
  return items;
}

}  // namespace phase0::encoders
