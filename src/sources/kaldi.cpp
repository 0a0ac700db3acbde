#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "sources/kaldi_matrix.h"
#include "sources/kaldi_scp.h"
#include "sources/open_source.h"
#include "sources/sequence_list.h"
#include "sources/text_lines.h"

namespace phase0::sources {
namespace {

/// Matrices of one or many archives.
class KaldiSource : public SequenceReader {
 public:
  const std::vector<Sequence>& sequences() const override { return sequences_.kept(); }

  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) override {
    const Entry& entry = entries_[static_cast<std::size_t>(sequence)];
    read_kaldi_rows(entry.matrix, open(entry.archive), first, n, static_cast<std::byte*>(out));
  }
  std::string path_of(std::int64_t sequence) const override {
    return sequence < 0 ? path_ : archives_[entries_[static_cast<std::size_t>(sequence)].archive];
  }
  std::int64_t read_bytes() const override { return kKaldiReadBytes; }
  std::string warning() const override {
    if (n_cut_ == 0) return {};
    return fmt::format("{}: {} range(s) reach 1 to 3 frames past the end of their matrix and are cut there",
                       path_, n_cut_);
  }

 protected:
  KaldiSource(const std::string& path, const SourceRoom& room) : path_(path), sequences_(room.memory) {}

  const InputFile& open(std::size_t archive) {
    if (!file_ || archive != opened_) {
      file_ = InputFile(archives_[archive]);
      opened_ = archive;
    }
    return file_;
  }
  /// The number of an archive. Where there is no room for the list, only the last is known.
  std::size_t find_archive(const std::string& path) {
    if (sequences_.full()) {
      known_.clear();
      archives_.clear();
      file_ = {};
    }
    const auto [found, is_new] = known_.emplace(path, known_.size());
    if (is_new) {
      archives_.push_back(path);
      sequences_.charge(2 * (std::ssize(path) + kArchiveBytes));
    }
    return found->second;
  }
  void add(const std::string& id, std::size_t archive, const KaldiMatrix& matrix) {
    if (sequences_.add({id, matrix.n_rows, matrix.n_columns, matrix.type()})) {
      entries_.push_back({archive, matrix});
    } else {
      entries_ = {};
    }
  }
  void finish() { sequences_.finish(); }
  void count_cut() { ++n_cut_; }

 private:
  static constexpr std::int64_t kArchiveBytes = 64;
  struct Entry {
    std::size_t archive = 0;
    KaldiMatrix matrix;
  };
  std::string path_;
  std::vector<std::string> archives_;
  std::unordered_map<std::string, std::size_t> known_;
  SequenceList sequences_;
  std::vector<Entry> entries_;
  std::size_t opened_ = 0;
  std::int64_t n_cut_ = 0;
  InputFile file_;
};

/// The id that stands before a matrix, and where that begins.
std::string take_id(const InputFile& file, std::int64_t& at) {
  constexpr std::int64_t kLongest = 4096;
  std::string text(static_cast<std::size_t>(std::min(kLongest, file.size() - at)), '\0');
  file.read(at, std::ssize(text), text.data());
  const std::size_t end = text.find_first_of(std::string_view(" \t\n\r\0", 5));
  if (end == std::string::npos || end == 0 || text[end] != ' ') {
    file.fail("is not a Kaldi archive: an id and a blank were expected", at);
  }
  at += static_cast<std::int64_t>(end) + 1;
  return text.substr(0, end);
}

class KaldiArk final : public KaldiSource {
 public:
  KaldiArk(const std::string& path, const SourceRoom& room) : KaldiSource(path, room) {
    const std::size_t archive = find_archive(path);
    const InputFile& file = open(archive);
    for (std::int64_t at = 0; at < file.size();) {
      const std::string id = take_id(file, at);
      const KaldiMatrix matrix = read_kaldi_header(file, at, id);
      add(id, archive, matrix);
      at = matrix.data + matrix.bytes();
    }
    finish();
  }
};

class KaldiScp final : public KaldiSource {
 public:
  KaldiScp(const std::string& path, const SourceRoom& room) : KaldiSource(path, room) {
    for_lines(path, [&](std::string_view line, std::int64_t number) {
      if (trimmed(line).empty()) return;
      const KaldiPointer pointer = parse_scp_line(line, path, number);
      const std::size_t archive = find_archive(pointer.path);
      const InputFile& file = open(archive);
      KaldiMatrix matrix = read_kaldi_header(file, pointer.offset, pointer.id);
      if (pointer.has_range && select_range(matrix, pointer.rows, pointer.columns, file, pointer.id)) {
        count_cut();
      }
      add(pointer.id, archive, matrix);
    });
    finish();
  }
};

}  // namespace

bool is_kaldi_ark(const std::string& path) {
  constexpr std::int64_t kLongest = 4096;
  const InputFile file(path);
  std::string text(static_cast<std::size_t>(std::min(kLongest, file.size())), '\0');
  file.read(0, std::ssize(text), text.data());
  const std::size_t blank = text.find(' ');
  return blank != std::string::npos && text.compare(blank + 1, 2, std::string_view("\0B", 2)) == 0;
}

std::unique_ptr<SequenceReader> open_kaldi_ark(const std::string& path, const SourceRoom& room) {
  return std::make_unique<KaldiArk>(path, room);
}

std::unique_ptr<SequenceReader> open_kaldi_scp(const std::string& path, const SourceRoom& room) {
  return std::make_unique<KaldiScp>(path, room);
}

}  // namespace phase0::sources
