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
std::uint32_t checksum_of(std::size_t sequence, std::int64_t n_rows) {
  const std::string text = fmt::format("{} {}", sequence, n_rows);
  return store::checksum(0, text.data(), std::ssize(text));
}

}  // namespace

StagedRows::StagedRows(const std::string& path, const std::string& key, std::int64_t row_bytes)
    : rows_path_(path + ".rows"), index_path_(path + ".index"), row_bytes_(row_bytes) {
  const std::string first_line = fmt::format("phase0-staged-rows 1 {} {}\n", row_bytes, key);
  rows_ = store::create_file(rows_path_, O_RDWR);
  index_ = store::create_file(index_path_, O_RDWR);
  if (!resume(first_line)) {
    n_rows_.clear();
    offsets_.clear();
    rows_end_ = 0;
    store::resize_file(index_, 0, index_path_);
    store::write_exactly(index_, 0, std::ssize(first_line), first_line.data(), index_path_);
    index_end_ = std::ssize(first_line);
  }
  // What was being written when the earlier start ended.
  store::resize_file(rows_, rows_end_, rows_path_);
  store::resize_file(index_, index_end_, index_path_);
}

bool StagedRows::resume(const std::string& first_line) {
  const std::string text = store::read_file(index_path_, kMaxIndexBytes);
  if (!text.starts_with(first_line)) return false;
  const std::int64_t size = store::file_size(rows_, rows_path_);
  index_end_ = std::ssize(first_line);
  for (;;) {
    const auto end = text.find('\n', static_cast<std::size_t>(index_end_));
    if (end == std::string::npos) return true;
    std::istringstream line(
        text.substr(static_cast<std::size_t>(index_end_), end - static_cast<std::size_t>(index_end_)));
    std::size_t sequence = 0;
    std::int64_t n_rows = -1;
    std::uint32_t crc = 0;
    if (!(line >> sequence >> n_rows >> crc) || n_rows < 0 || n_rows > (size - rows_end_) / row_bytes_ ||
        n_rows_.contains(sequence) || !is_whole(sequence, n_rows, crc))
      return true;
    offsets_[sequence] = rows_end_;
    n_rows_[sequence] = n_rows;
    rows_end_ += n_rows * row_bytes_;
    index_end_ = static_cast<std::int64_t>(end) + 1;
  }
}

/// Of the rows that begin at rows_end_.
bool StagedRows::is_whole(std::size_t sequence, std::int64_t n_rows, std::uint32_t expected) const {
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kCopyBytes, n_rows * row_bytes_)));
  std::uint32_t crc = checksum_of(sequence, n_rows);
  std::int64_t offset = rows_end_;
  for (std::int64_t left = n_rows * row_bytes_; left > 0;) {
    const std::int64_t count = std::min(left, std::ssize(buffer));
    store::read_exactly(rows_, offset, count, buffer.data(), rows_path_, ErrorKind::kStorage);
    crc = store::checksum(crc, buffer.data(), count);
    offset += count;
    left -= count;
  }
  return crc == expected;
}

void StagedRows::add(std::size_t sequence, const SequenceRows& rows) {
  PHASE0_CHECK(!n_rows_.contains(sequence) && rows.n_bytes == rows.n_rows * row_bytes_);
  std::uint32_t crc = checksum_of(sequence, rows.n_rows);
  std::int64_t end = rows_end_;
  for (const std::vector<std::byte>& part : rows.parts) {
    if (part.empty()) continue;
    store::write_exactly(rows_, end, std::ssize(part), part.data(), rows_path_);
    crc = store::checksum(crc, part.data(), std::ssize(part));
    end += std::ssize(part);
  }
  PHASE0_CHECK(end == rows_end_ + rows.n_bytes);
  const std::string line = fmt::format("{} {} {}\n", sequence, rows.n_rows, crc);
  store::write_exactly(index_, index_end_, std::ssize(line), line.data(), index_path_);
  offsets_[sequence] = rows_end_;
  n_rows_[sequence] = rows.n_rows;
  rows_end_ = end;
  index_end_ += std::ssize(line);
}

void StagedRows::read(std::size_t sequence, std::int64_t first, std::int64_t n, void* out) const {
  store::read_exactly(rows_, offsets_.at(sequence) + first * row_bytes_, n * row_bytes_, out, rows_path_,
                      ErrorKind::kStorage);
}

void StagedRows::remove() {
  rows_.reset();
  index_.reset();
  store::remove_file(rows_path_);
  store::remove_file(index_path_);
}

}  // namespace phase0::encoders
