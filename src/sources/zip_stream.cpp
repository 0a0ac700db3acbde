#include "sources/zip_stream.h"

#include <algorithm>

#include "phase0/error.h"

namespace phase0::sources {
namespace {

constexpr std::int64_t kPiece = std::int64_t{64} << 10;
constexpr std::int64_t kMostAtOnce = std::int64_t{1} << 30;  // zlib counts in 32 bits

}  // namespace

ZipStream::ZipStream(const InputFile& file, const ZipEntry& entry)
    : file_(file), entry_(entry), crc_(static_cast<std::uint32_t>(::crc32(0, nullptr, 0))) {
  if (!entry.deflated) return;
  auto stream = std::make_unique<z_stream>();
  if (inflateInit2(stream.get(), -MAX_WBITS) != Z_OK) {
    throw Error(ErrorKind::kMemory, "no memory to unpack with", {.path = file.path()});
  }
  inflater_.reset(stream.release());
  input_.resize(static_cast<std::size_t>(kPiece));
}

void ZipStream::fail(const std::string& why) const {
  file_.fail(entry_.name + ": " + why, entry_.data + taken_);
}

void ZipStream::read(std::int64_t n, void* out) {
  auto* to = static_cast<unsigned char*>(out);
  if (n > entry_.bytes - position_) fail("ends too early");
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t part = std::min(n - done, kMostAtOnce);
    if (inflater_) {
      inflate_into(part, to + done);
    } else {
      file_.read(entry_.data + position_, part, to + done);
    }
    crc_ = static_cast<std::uint32_t>(::crc32(crc_, to + done, static_cast<uInt>(part)));
    position_ += part;
    done += part;
  }
}

void ZipStream::fill() {
  const std::int64_t n = std::min(kPiece, entry_.packed_bytes - taken_);
  if (n == 0) fail("damaged: its packed bytes end too early");
  file_.read(entry_.data + taken_, n, input_.data());
  taken_ += n;
  inflater_->next_in = input_.data();
  inflater_->avail_in = static_cast<uInt>(n);
}

void ZipStream::inflate_into(std::int64_t n, unsigned char* out) {
  inflater_->next_out = out;
  inflater_->avail_out = static_cast<uInt>(n);
  while (inflater_->avail_out > 0) {
    if (ended_) fail("damaged: it unpacks to less than it should");
    if (inflater_->avail_in == 0) fill();
    const int status = ::inflate(inflater_.get(), Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      ended_ = true;
    } else if (status != Z_OK) {
      fail("damaged: it cannot be unpacked");
    }
  }
}

void ZipStream::skip(std::int64_t n) {
  std::vector<unsigned char> piece(static_cast<std::size_t>(std::min(n, kPiece)));
  for (; n > 0; n -= std::min(n, kPiece)) read(std::min(n, kPiece), piece.data());
}

void ZipStream::finish() {
  if (position_ != entry_.bytes) fail("holds more than an array");
  if (inflater_ && !ended_) {
    unsigned char more = 0;
    inflater_->next_out = &more;
    inflater_->avail_out = 1;
    int status = Z_OK;
    while (status == Z_OK && inflater_->avail_out == 1) {
      if (inflater_->avail_in == 0) fill();
      status = ::inflate(inflater_.get(), Z_NO_FLUSH);
    }
    if (status != Z_STREAM_END || inflater_->avail_out == 0)
      fail("damaged: it unpacks to more than it should");
    ended_ = true;
  }
  if (crc_ != entry_.crc) fail("damaged: its checksum is wrong");
}

}  // namespace phase0::sources
