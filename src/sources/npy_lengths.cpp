#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "core/checked.h"
#include "sources/npy_array.h"
#include "sources/open_source.h"
#include "sources/sequence_list.h"
#include "sources/text_lines.h"

namespace phase0::sources {
namespace {

std::int64_t parse_length(std::string_view text, const std::string& path, std::int64_t line) {
  std::int64_t length = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), length);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || length < 1) {
    fail_line(path, line, "a length of at least 1 frame was expected");
  }
  return length;
}

/// One length a line; a last line may be empty.
template <typename Take>
void for_lengths(const std::string& path, const Take& take) {
  std::int64_t empty = 0;  // the line that was
  for_lines(path, [&](std::string_view line, std::int64_t number) {
    line = trimmed(line);
    if (empty > 0) fail_line(path, empty, "is empty; one length a line was expected");
    if (line.empty()) {
      empty = number;
    } else {
      take(parse_length(line, path, number));
    }
  });
}

class NpyLengths final : public SequenceReader {
 public:
  NpyLengths(const std::string& path, const std::string& lengths_path, const std::string& ids_path,
             const SourceRoom& room)
      : file_(path), frames_(file_, 0, file_.size(), 2, ""), sequences_(room.memory) {
    read_ids(ids_path);
    const std::int64_t total = read_lengths(lengths_path, ids_path.empty());
    sequences_.finish();
    if (total != frames_.n_frames()) {
      throw Error(
          ErrorKind::kData,
          fmt::format("the lengths add up to {}, but {} holds {} frames", total, path, frames_.n_frames()),
          {.path = lengths_path});
    }
  }

  const std::vector<Sequence>& sequences() const override { return sequences_.kept(); }
  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    frames_.read(file_, starts_[static_cast<std::size_t>(sequence)] + first, n, static_cast<std::byte*>(out));
  }
  std::string path_of(std::int64_t) const override { return file_.path(); }
  std::int64_t read_bytes() const override { return NpyFrames::kReadBytes; }

 private:
  void add(std::string id) { sequences_.add({std::move(id), 0, frames_.dim(), frames_.type()}); }

  void read_ids(const std::string& path) {
    if (path.empty()) return;
    for_lines(path, [&](std::string_view line, std::int64_t) { add(std::string(trimmed(line))); });
  }

  /// Gives their sum. Names the sequences too, unless that is done.
  std::int64_t read_lengths(const std::string& path, bool name) {
    const std::string stem = std::filesystem::path(file_.path()).stem().string();
    const std::int64_t n_ids = sequences_.count();
    std::int64_t n = 0;
    std::int64_t total = 0;
    for_lengths(path, [&](std::int64_t length) {
      if (name) add(fmt::format("{}-{}", stem, n));
      if (n < std::ssize(sequences_.kept())) {
        sequences_.kept()[static_cast<std::size_t>(n)].n_frames = length;
        starts_.push_back(total);
      }
      total = core::checked_add(total, length, path + ": sum of the lengths");
      ++n;
    });
    if (!name && n != n_ids) {
      throw Error(ErrorKind::kData, fmt::format("holds {} lengths, but there are {} ids", n, n_ids),
                  {.path = path});
    }
    return total;
  }

  InputFile file_;
  NpyFrames frames_;
  std::vector<std::int64_t> starts_;
  SequenceList sequences_;
};

}  // namespace

std::unique_ptr<SequenceReader> open_npy_lengths(const std::string& path, const std::string& lengths_path,
                                                 const std::string& ids_path, const SourceRoom& room) {
  return std::make_unique<NpyLengths>(path, lengths_path, ids_path, room);
}

}  // namespace phase0::sources
