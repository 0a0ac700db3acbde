#include "store/h5_header.h"

#include "store/h5_messages.h"

namespace phase0::store {
namespace {

constexpr std::uint64_t kMostChunkBytes = std::uint64_t{16} << 20;
/// The front of a header, as far as it can be long.
constexpr std::uint64_t kFrontBytes = 64;
constexpr std::size_t kChecksumBytes = 4;

/// The front of a version 2 header, behind its version; its chunk's bytes.
std::uint64_t chunk_bytes(H5Fields& front, unsigned& flags) {
  flags = front.byte();
  if ((flags & 0x20U) != 0) front.skip(16);  // times
  if ((flags & 0x10U) != 0) front.skip(4);   // how many attributes stay compact
  return front.number(std::size_t{1} << (flags & 3U));
}

}  // namespace

void H5HeaderCheck::check(std::uint64_t address, const std::string& object) const {
  Walk walk{object, {address}, {}, {}};
  while (!walk.headers.empty()) {
    const std::uint64_t next = walk.headers.back();
    walk.headers.pop_back();
    // Several attributes may be of one type.
    if (walk.seen.insert(next).second) check_header(walk, next);
  }
}

std::vector<std::byte> H5HeaderCheck::read(Walk& walk, const Chunk& chunk) const {
  const auto file_bytes = static_cast<std::uint64_t>(file_bytes_) - superblock_.base_address;
  if (chunk.address > file_bytes || chunk.bytes > file_bytes - chunk.address || chunk.bytes > kMostChunkBytes) {
    H5Fields({}, subject(walk)).fail("a part of impossible size or outside the file");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(chunk.bytes));
  read_exactly(file_, static_cast<std::int64_t>(superblock_.base_address + chunk.address), std::ssize(bytes),
               bytes.data(), path_, damage_);
  return bytes;
}

void H5HeaderCheck::check_header(Walk& walk, std::uint64_t address) const {
  const auto file_bytes = static_cast<std::uint64_t>(file_bytes_) - superblock_.base_address;
  const std::uint64_t there = address < file_bytes ? file_bytes - address : 0;
  const std::vector<std::byte> front_bytes = read(walk, {address, std::min(kFrontBytes, there)});
  H5Fields front(front_bytes, subject(walk));
  const unsigned version = front.starts_with("OHDR\x02", 5) ? 2 : 1;
  unsigned flags = 0;
  std::uint64_t n = 0;
  if (version == 2) {
    front.skip(5);
    n = chunk_bytes(front, flags);
  } else {
    front.expect(front.byte() == 1, "no header");
    front.skip(7);  // reserved, number of messages, references
    n = front.number(4);
    front.skip(4);
  }
  const std::vector<std::byte> first = read(walk, {address + (front_bytes.size() - front.left()), n});
  check_messages(walk, {first, subject(walk)}, version, flags);
  while (!walk.chunks.empty()) {
    const Chunk chunk = walk.chunks.back();
    walk.chunks.pop_back();
    const std::vector<std::byte> bytes = read(walk, chunk);
    H5Fields fields(bytes, subject(walk));
    fields.expect(walk.seen.insert(chunk.address).second, "a part that is its own continuation");
    if (version == 2) {
      fields.expect(fields.starts_with("OCHK", 4) && fields.left() >= 4 + kChecksumBytes, "no continuation");
      fields.skip(4);
      fields = fields.take(fields.left() - kChecksumBytes);
    }
    check_messages(walk, fields, version, flags);
  }
}

void H5HeaderCheck::check_messages(Walk& walk, H5Fields fields, unsigned version, unsigned flags) const {
  const bool numbered = version == 2 && (flags & 4U) != 0;
  const std::size_t head_bytes = version == 1 ? 8 : numbered ? 6 : 4;
  // Behind the messages of version 2 there may be a gap that is too small for another.
  while (fields.left() > 0 && (version == 1 || fields.left() >= head_bytes)) {
    H5Message message;
    message.type = static_cast<unsigned>(fields.number(version == 1 ? 2 : 1));
    const std::uint64_t n = fields.number(2);
    message.flags = fields.byte();
    fields.skip(head_bytes - (version == 1 ? 5 : 4));
    H5Fields body = fields.take(n);
    if (message.type == H5Message::kContinuation) {
      const std::uint64_t address = body.number(superblock_.address_bytes);
      walk.chunks.push_back({address, body.number(superblock_.length_bytes)});
      continue;
    }
    check_message(message, body, superblock_, walk.headers);
  }
}

}  // namespace phase0::store
