#include "encoders/manifest.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/text.h"
#include "encoders/manifest_line.h"
#include "store/atomic_file.h"
#include "store/checksum.h"

namespace phase0::encoders {
namespace {

constexpr std::int64_t kMaxManifestLine = std::int64_t{1} << 24;
constexpr std::int64_t kMaxTextFile = std::int64_t{1} << 24;
constexpr std::int64_t kBlockBytes = std::int64_t{1} << 18;

/// Calls `take(offset, number, line)` for every line of a file, the last one with or without a newline.
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
    take(offset, line++, std::string_view(buffer).substr(begin, length));
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
  if (!core::is_valid_utf8(text)) throw Error(ErrorKind::kData, path + ": not UTF-8", place);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t length = end > begin && text[end - 1] == '\r' ? end - begin - 1 : end - begin;
    if (length > 0) lines.push_back(text.substr(begin, length));
    if (std::ssize(lines) > kMaxSequenceItems)
      throw Error(ErrorKind::kData, fmt::format("{}: more than {} lines", path, kMaxSequenceItems), place);
    begin = end + 1;
  }
  return lines;
}

/// A file that a manifest names.
struct stat status_of(const std::string& path, const ErrorPlace& place) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0)
    throw Error(ErrorKind::kData, fmt::format("there is no file {}: {}", path, std::strerror(errno)), place);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::kData, path + ": not a regular file", place);
  return status;
}

}  // namespace

Manifest::Manifest(const std::string& path)
    : path_(path), file_(store::open_regular_file(path, ErrorKind::kData)) {}

Manifest Manifest::open(const std::string& path) {
  Manifest manifest(path);
  std::unordered_map<std::string, std::int64_t> lines;
  std::uint32_t crc = 0;
  const auto look_at = [&crc](std::string_view text) {
    crc = store::checksum(crc, text.data(), std::ssize(text));
    crc = store::checksum(crc, "\n", 1);
  };
  for_each_line(manifest.file_, path, [&](std::int64_t offset, std::int64_t number, std::string_view text) {
    const ErrorPlace place{.path = path, .line = number};
    ManifestLine line = parse_manifest_line(text, false, place);
    const auto [first, is_new] = lines.emplace(line.id, number);
    if (!is_new)
      throw Error(ErrorKind::kData,
                  fmt::format("id \"{}\" stands in line {} already", core::clipped(line.id), first->second),
                  place);
    look_at(text);
    std::int64_t content_bytes = std::ssize(text);
    if (line.path) {
      const struct stat file = status_of(*line.path, place);
      look_at(fmt::format("{} {}.{:09}", file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec));
      content_bytes = file.st_size;
    }
    manifest.entries_.push_back(
        {std::move(line.id), std::move(line.speaker), offset, std::ssize(text), content_bytes});
  });
  if (manifest.entries_.empty()) throw Error(ErrorKind::kData, "holds no sequence", {.path = path});
  manifest.identity_ = fmt::format("{} {}", store::file_size(manifest.file_, path), crc);
  return manifest;
}

std::vector<std::string> Manifest::items(std::size_t entry, ItemKind kind,
                                         std::int64_t max_item_bytes) const {
  const ManifestEntry& known = entries_[entry];
  const ErrorPlace place{.path = path_, .utterance = known.id};
  std::string text(static_cast<std::size_t>(known.n_bytes), '\0');
  store::read_exactly(file_, known.offset, known.n_bytes, text.data(), path_, ErrorKind::kData);
  ManifestLine line = parse_manifest_line(text, true, place);
  if (line.id != known.id) throw Error(ErrorKind::kData, "the file has changed while it was read", place);
  std::vector<std::string> items = std::move(line.chunks);
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
