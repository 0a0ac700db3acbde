#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "core/checked.h"
#include "sources/npy_array.h"
#include "sources/open_source.h"
#include "sources/text_lines.h"

namespace phase0::sources {
namespace {

/// One length a line; a last line may be empty.
std::vector<std::int64_t> read_lengths(const std::string& path) {
  std::vector<std::int64_t> lengths;
  std::int64_t empty = 0;  // the line that was
  for_lines(path, [&](std::string_view line, std::int64_t number) {
    line = trimmed(line);
    if (empty > 0) fail_line(path, empty, "is empty; one length a line was expected");
    if (line.empty()) {
      empty = number;
      return;
    }
    std::int64_t length = 0;
    const auto result = std::from_chars(line.data(), line.data() + line.size(), length);
    if (result.ec != std::errc() || result.ptr != line.data() + line.size() || length < 1) {
      fail_line(path, number, "a length of at least 1 frame was expected");
    }
    lengths.push_back(length);
  });
  return lengths;
}

std::vector<std::string> read_ids(const std::string& path) {
  std::vector<std::string> ids;
  for_lines(path, [&](std::string_view line, std::int64_t) { ids.emplace_back(trimmed(line)); });
  return ids;
}

class NpyLengths final : public SequenceReader {
 public:
  NpyLengths(const std::string& path, const std::string& lengths_path, const std::string& ids_path)
      : file_(path), frames_(file_, 0, file_.size(), 2, "") {
    const std::vector<std::int64_t> lengths = read_lengths(lengths_path);
    std::vector<std::string> ids;
    if (!ids_path.empty()) {
      ids = read_ids(ids_path);
      if (ids.size() != lengths.size()) {
        throw Error(ErrorKind::kData,
                    fmt::format("holds {} ids, but there are {} lengths", ids.size(), lengths.size()),
                    {.path = ids_path});
      }
    }
    const std::string stem = std::filesystem::path(path).stem().string();
    std::int64_t total = 0;
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      starts_.push_back(total);
      total = core::checked_add(total, lengths[s], lengths_path + ": sum of the lengths");
      sequences_.push_back({ids.empty() ? fmt::format("{}-{}", stem, s) : std::move(ids[s]), lengths[s],
                            frames_.dim(), frames_.type()});
    }
    if (total != frames_.n_frames()) {
      throw Error(
          ErrorKind::kData,
          fmt::format("the lengths add up to {}, but {} holds {} frames", total, path, frames_.n_frames()),
          {.path = lengths_path});
    }
  }

  const std::vector<Sequence>& sequences() const override { return sequences_; }
  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    frames_.read(file_, starts_[static_cast<std::size_t>(sequence)] + first, n, static_cast<std::byte*>(out));
  }
  std::string path_of(std::int64_t) const override { return file_.path(); }
  std::int64_t read_bytes() const override { return NpyFrames::kReadBytes; }

 private:
  InputFile file_;
  NpyFrames frames_;
  std::vector<std::int64_t> starts_;
  std::vector<Sequence> sequences_;
};

}  // namespace

std::unique_ptr<SequenceReader> open_npy_lengths(const std::string& path, const std::string& lengths_path,
                                                 const std::string& ids_path) {
  return std::make_unique<NpyLengths>(path, lengths_path, ids_path);
}

}  // namespace phase0::sources
