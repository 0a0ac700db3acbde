#include "encoders/staged_rows.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "core/check.h"
#include "store/atomic_file.h"
#include "store/checksum.h"

namespace phase0::encoders {
namespace {

constexpr std::int64_t kMaxIndexBytes = std::int64_t{1} << 30;
constexpr std::int64_t kCopyBytes = std::int64_t{1} << 20;

/// Of what the index says of a sequence; that of its rows goes on from it.
std::uint32_t checksum_of(std::size_t number, const StagedRows::Sequence& sequence) {
  const std::string text = fmt::format("{} {} {}", number, sequence.n_rows, sequence.offset);
  return store::checksum(0, text.data(), std::ssize(text));
}

}  // namespace

StagedRows::Reader::Reader(const StagedRows& staged, std::size_t number)
    : staged_(staged), sequence_(staged.sequences_.at(number)), checksum_(checksum_of(number, sequence_)) {}

void StagedRows::Reader::read(std::int64_t n, void* out) {
  PHASE0_CHECK(n <= left());
  const std::int64_t bytes = n * staged_.row_bytes_;
  store::read_exactly(staged_.rows_, sequence_.offset + n_read_ * staged_.row_bytes_, bytes, out,
                      staged_.rows_path_, ErrorKind::kStorage);
  checksum_ = store::checksum(checksum_, out, bytes);
  n_read_ += n;
}

void StagedRows::Reader::check() const {
  if (is_sound()) return;
  throw Error(ErrorKind::kStorage, "its rows are not those that were written",
              ErrorPlace{.path = staged_.rows_path_, .offset = sequence_.offset});
}

StagedRows::StagedRows(const std::string& path, const std::string& key, std::size_t n_sequences,
                       std::int64_t row_bytes)
    : rows_path_(path + ".rows"), index_path_(path + ".index"), row_bytes_(row_bytes) {
  const std::string first_line = fmt::format("phase0-staged-rows 2 {} {}\n", row_bytes, key);
  rows_ = store::create_file(rows_path_, O_RDWR);
  index_ = store::create_file(index_path_, O_RDWR);
  if (!resume(first_line, n_sequences)) {
    store::resize_file(index_, 0, index_path_);
    store::write_exactly(index_, 0, std::ssize(first_line), first_line.data(), index_path_);
    index_end_ = std::ssize(first_line);
  }
  // What was being written when the earlier start ended.
  store::resize_file(rows_, rows_end_, rows_path_);
  store::resize_file(index_, index_end_, index_path_);
}

bool StagedRows::resume(const std::string& first_line, std::size_t n_sequences) {
  const std::string text = store::read_file(index_path_, kMaxIndexBytes);
  if (!text.starts_with(first_line)) return false;
  const std::int64_t size = store::file_size(rows_, rows_path_);
  index_end_ = std::ssize(first_line);
  for (;;) {
    const auto end = text.find('\n', static_cast<std::size_t>(index_end_));
    if (end == std::string::npos) return true;
    std::istringstream line(
        text.substr(static_cast<std::size_t>(index_end_), end - static_cast<std::size_t>(index_end_)));
    index_end_ = static_cast<std::int64_t>(end) + 1;
    std::size_t number = 0;
    Sequence sequence{-1, -1, 0};
    const bool read =
        static_cast<bool>(line >> number >> sequence.n_rows >> sequence.offset >> sequence.checksum);
    const bool inside = read && number < n_sequences && sequence.n_rows >= 0 && sequence.offset >= 0 &&
                        sequence.offset <= size && sequence.n_rows <= (size - sequence.offset) / row_bytes_;
    if (!inside || !sequences_.try_emplace(number, sequence).second) continue;
    if (is_whole(number)) {
      rows_end_ = std::max(rows_end_, sequence.offset + sequence.n_rows * row_bytes_);
    } else {
      sequences_.erase(number);
    }
  }
}

bool StagedRows::is_whole(std::size_t number) const {
  Reader rows = reader(number);
  const std::int64_t most = std::max<std::int64_t>(1, kCopyBytes / row_bytes_);
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(most, rows.left()) * row_bytes_));
  while (rows.left() > 0) rows.read(std::min(most, rows.left()), buffer.data());
  return rows.is_sound();
}

void StagedRows::add(std::size_t number, const SequenceRows& rows) {
  PHASE0_CHECK(!sequences_.contains(number) && rows.n_bytes == rows.n_rows * row_bytes_);
  Sequence sequence{rows.n_rows, rows_end_, 0};
  sequence.checksum = checksum_of(number, sequence);
  std::int64_t end = rows_end_;
  for (const std::vector<std::byte>& part : rows.parts) {
    if (part.empty()) continue;
    store::write_exactly(rows_, end, std::ssize(part), part.data(), rows_path_);
    sequence.checksum = store::checksum(sequence.checksum, part.data(), std::ssize(part));
    end += std::ssize(part);
  }
  PHASE0_CHECK(end == rows_end_ + rows.n_bytes);
  const std::string line =
      fmt::format("{} {} {} {}\n", number, sequence.n_rows, sequence.offset, sequence.checksum);
  store::write_exactly(index_, index_end_, std::ssize(line), line.data(), index_path_);
  sequences_[number] = sequence;
  rows_end_ = end;
  index_end_ += std::ssize(line);
}

void StagedRows::sync() const {
  store::sync_file(rows_, rows_path_);
  store::sync_file(index_, index_path_);
}

void StagedRows::remove() {
  rows_.reset();
  index_.reset();
  store::remove_file(rows_path_);
  store::remove_file(index_path_);
}

}  // namespace phase0::encoders
