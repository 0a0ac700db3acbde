#include "store/unit_file.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "phase0/error.h"
#include "store/atomic_file.h"
#include "store/checksum.h"
#include "store/posix_file.h"

namespace phase0::store {
namespace {

constexpr std::uint64_t kMagic = 0x3174696e75306870;  // "ph0unit1"
constexpr std::int64_t kBufferBytes = std::int64_t{1} << 18;
constexpr std::int64_t kMostTextBytes = 4096;

[[noreturn]] void damaged(const std::string& path, const char* what) {
  throw Error(ErrorKind::kStorage, what, ErrorPlace{.path = path});
}

/// Buffered, with the checksum of what went through.
class FileSink final : public core::ByteSink {
 public:
  FileSink(const FileDescriptor& file, std::string path)
      : file_(file), path_(std::move(path)), buffer_(static_cast<std::size_t>(kBufferBytes)) {}

  void write(const void* data, std::int64_t size) override {
    const auto* from = static_cast<const std::byte*>(data);
    while (size > 0) {
      const std::int64_t n = std::min(size, kBufferBytes - used_);
      std::memcpy(buffer_.data() + used_, from, static_cast<std::size_t>(n));
      used_ += n;
      if (used_ == kBufferBytes) flush();
      from += n;
      size -= n;
    }
  }

  void flush() {
    write_exactly(file_, end_, used_, buffer_.data(), path_);
    crc_ = store::checksum(crc_, buffer_.data(), used_);
    end_ += used_;
    used_ = 0;
  }

  std::int64_t size() const { return end_ + used_; }
  std::uint32_t checksum() const { return crc_; }  ///< of what is flushed

 private:
  const FileDescriptor& file_;
  std::string path_;
  std::vector<std::byte> buffer_;
  std::int64_t used_ = 0;
  std::int64_t end_ = 0;
  std::uint32_t crc_ = 0;
};

/// Bytes [begin, end) of a file, buffered.
class FileSource final : public core::ByteSource {
 public:
  FileSource(const FileDescriptor& file, std::string path, std::int64_t begin, std::int64_t end)
      : file_(file), path_(std::move(path)), next_(begin), end_(end) {}

  std::int64_t remaining() const override { return end_ - next_ + std::ssize(buffer_) - used_; }
  std::int64_t position() const { return next_ - (std::ssize(buffer_) - used_); }

 private:
  void take(void* out, std::int64_t size) override {
    auto* to = static_cast<std::byte*>(out);
    while (size > 0) {
      if (used_ == std::ssize(buffer_)) fill();
      const std::int64_t n = std::min(size, std::ssize(buffer_) - used_);
      std::memcpy(to, buffer_.data() + used_, static_cast<std::size_t>(n));
      used_ += n;
      to += n;
      size -= n;
    }
  }

  void fill() {
    buffer_.resize(static_cast<std::size_t>(std::min(kBufferBytes, end_ - next_)));
    read_exactly(file_, next_, std::ssize(buffer_), buffer_.data(), path_, ErrorKind::kStorage);
    next_ += std::ssize(buffer_);
    used_ = 0;
  }

  const FileDescriptor& file_;
  std::string path_;
  std::vector<std::byte> buffer_;
  std::int64_t used_ = 0, next_, end_;
};

/// Size of the contents, and the checksum.
constexpr std::int64_t kFooterBytes = sizeof(std::int64_t) + sizeof(std::uint32_t);

std::string short_text(core::ByteSource& source, const std::string& path) {
  std::string text = source.get_text();
  if (std::ssize(text) > kMostTextBytes) damaged(path, "is damaged: its head is too long");
  return text;
}

core::UnitId read_head(core::ByteSource& source, const std::string& path) {
  if (source.remaining() < static_cast<std::int64_t>(sizeof kMagic) ||
      source.get<std::uint64_t>() != kMagic) {
    damaged(path, "is not a unit of the cache");
  }
  core::UnitId unit;
  unit.name = short_text(source, path);
  unit.key = short_text(source, path);
  return unit;
}

void verify_checksum(const FileDescriptor& file, const std::string& path, std::int64_t size) {
  FileSource whole(file, path, 0, size);
  std::vector<std::byte> part(static_cast<std::size_t>(kBufferBytes));
  std::uint32_t sum = 0;
  while (whole.remaining() > static_cast<std::int64_t>(sizeof sum)) {
    const std::int64_t n = std::min(kBufferBytes, whole.remaining() - static_cast<std::int64_t>(sizeof sum));
    whole.read(part.data(), n);
    sum = checksum(sum, part.data(), n);
  }
  if (whole.get<std::uint32_t>() != sum) damaged(path, "is damaged: its checksum does not match");
}

}  // namespace

void write_unit(const std::string& path, const core::UnitId& unit, const core::UnitStore::Write& write) {
  write_file_atomically(path, [&](const FileDescriptor& file, const std::string& temporary) {
    FileSink sink(file, temporary);
    sink.put(kMagic);
    sink.put_text(unit.name);
    sink.put_text(unit.key);
    const std::int64_t head = sink.size();
    write(sink);
    sink.put(sink.size() - head);
    sink.flush();
    sink.put(sink.checksum());
    sink.flush();
  });
}

UnitInfo unit_info(const std::string& path) {
  const FileDescriptor file = open_regular_file(path, ErrorKind::kStorage);
  const std::int64_t size = file_size(file, path);
  FileSource source(file, path, 0, std::min(size, 4 * kMostTextBytes));
  return {read_head(source, path), size};
}

void read_unit(const std::string& path, const core::UnitId& unit, const core::UnitStore::Read& read) {
  const FileDescriptor file = open_regular_file(path, ErrorKind::kStorage);
  const std::int64_t size = file_size(file, path);
  if (size < kFooterBytes) damaged(path, "is not a unit of the cache");
  verify_checksum(file, path, size);
  FileSource head(file, path, 0, size - kFooterBytes);
  const core::UnitId found = read_head(head, path);
  if (found.name != unit.name || found.key != unit.key) damaged(path, "is of another unit");
  const std::int64_t begin = head.position();
  FileSource footer(file, path, size - kFooterBytes, size);
  if (footer.get<std::int64_t>() != size - kFooterBytes - begin) damaged(path, "is damaged: its size is off");
  FileSource contents(file, path, begin, size - kFooterBytes);
  read(contents);
  if (contents.remaining() != 0) damaged(path, "holds more than what is expected there");
}

}  // namespace phase0::store
