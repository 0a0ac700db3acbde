#include "store/h5_header.h"

#include <algorithm>

#include "store/h5_members.h"

namespace phase0::store {
namespace {

/// The front of a header, as far as it can be long.
constexpr std::uint64_t kFrontBytes = 64;
/// The front of a version 2 header, behind its version; its chunk's bytes.
std::uint64_t chunk_bytes(H5Fields& front, unsigned& flags) {
  flags = front.byte();
  if ((flags & 0x20U) != 0) front.skip(16);  // times
  if ((flags & 0x10U) != 0) front.skip(4);   // how many attributes stay compact
  return front.number(std::size_t{1} << (flags & 3U));
}

}  // namespace

void H5HeaderCheck::check(std::uint64_t address, const std::string& object) {
  if (sound_.contains(address)) return;
  Walk walk{.object = object, .parts = {}, .headers = {}, .chunks = {}, .seen = {}};
  walk.parts.headers.push_back(address);
  while (!walk.parts.headers.empty()) {
    const std::uint64_t next = walk.parts.headers.back();
    walk.parts.headers.pop_back();
    // Several attributes and objects may be of one type.
    if (sound_.contains(next) || !walk.seen.insert(next).second) continue;
    check_header(walk, next);
    walk.headers.push_back(next);
  }
  for (const H5Parts::Tree& tree : walk.parts.trees) check_tree(walk, tree);
  H5Fields({}, subject(walk)).expect(walk.parts.members.size() <= 1, "more than one index of members");
  for (const H5Parts::Members& members : walk.parts.members) check_members(file_, object, members);
  sound_.insert(walk.headers.begin(), walk.headers.end());
}

void H5HeaderCheck::check_header(Walk& walk, std::uint64_t address) {
  const std::vector<std::byte> front_bytes =
      file_.peek(walk.object, address, std::min(kFrontBytes, file_.left(address)));
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
  const auto n_trees = static_cast<std::ptrdiff_t>(walk.parts.trees.size());
  walk.parts.filtered = false;
  const std::vector<std::byte> first = read(walk, address + (front_bytes.size() - front.left()), n);
  check_messages(walk, {first, subject(walk)}, version, flags);
  while (!walk.chunks.empty()) {
    const Chunk chunk = walk.chunks.back();
    walk.chunks.pop_back();
    const std::vector<std::byte> bytes = read(walk, chunk.address, chunk.bytes);
    H5Fields fields(bytes, subject(walk));
    fields.expect(walk.seen.insert(chunk.address).second, "a part that is its own continuation");
    if (version == 2) {
      fields.expect(fields.starts_with("OCHK", 4) && fields.left() >= 4 + H5Bytes::kChecksumBytes,
                    "no continuation");
      fields.skip(4);
      fields = fields.take(fields.left() - H5Bytes::kChecksumBytes);
    }
    check_messages(walk, fields, version, flags);
  }
  // The filters may stand behind the layout.
  std::for_each(walk.parts.trees.begin() + n_trees, walk.parts.trees.end(),
                [&](H5Parts::Tree& tree) { tree.filtered = walk.parts.filtered; });
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
      const std::uint64_t address = body.number(file_.superblock().address_bytes);
      walk.chunks.push_back({address, body.number(file_.superblock().length_bytes)});
      continue;
    }
    check_message(message, body, file_.superblock(), walk.parts);
  }
}

/// A tree of version 1: each node is of one level less than what leads to it, and nothing leads to it twice.
/// HDF5 takes the size of an unfiltered chunk from its key, and then uses it as a whole chunk.
void H5HeaderCheck::check_tree(Walk& walk, const H5Parts::Tree& tree) {
  struct Node {
    std::uint64_t address = 0;
    unsigned level = 0;
  };
  const std::uint64_t names_end = tree.of_chunks ? 0 : last_name(walk, tree.heap);
  const std::size_t address_bytes = file_.superblock().address_bytes;
  constexpr unsigned kAnyLevel = 256;
  std::vector<Node> nodes = {{tree.address, kAnyLevel}};
  while (!nodes.empty()) {
    const Node node = nodes.back();
    nodes.pop_back();
    const std::uint64_t head_bytes = 8 + 2 * address_bytes;
    const std::vector<std::byte> head = read(walk, node.address, head_bytes);
    H5Fields fields(head, subject(walk));
    fields.expect(walk.seen.insert(node.address).second, "an index that leads to a part twice");
    fields.expect(fields.starts_with(tree.of_chunks ? "TREE\x01" : "TREE\x00", 5), "no index");
    fields.skip(5);
    const unsigned level = fields.byte();
    fields.expect(node.level == kAnyLevel || level + 1 == node.level, "an index whose levels do not fit");
    const std::uint64_t n = fields.number(2);
    if (level == 0 && tree.of_chunks && tree.filtered) continue;  // leads to values of any size
    const std::uint64_t step = tree.key_bytes + address_bytes;
    const std::vector<std::byte> entries = read(walk, node.address + head_bytes, n * step);
    H5Fields children(entries, subject(walk));
    for (std::uint64_t i = 0; i < n; ++i) {
      H5Fields key = children.take(tree.key_bytes);
      const std::uint64_t child = children.number(address_bytes);
      if (level > 0) {
        nodes.push_back({child, level});
      } else if (tree.of_chunks) {
        key.expect(key.number(4) == tree.chunk_bytes, "chunks that are not of the size it states");
      } else {
        check_symbols(walk, child, names_end);
      }
    }
  }
}

/// A node of members: no more than HDF5 makes room for, with names that end inside of the heap.
void H5HeaderCheck::check_symbols(Walk& walk, std::uint64_t address, std::uint64_t last_name) {
  const std::size_t width = file_.superblock().address_bytes;
  constexpr std::uint64_t kHeadBytes = 8;
  const std::uint64_t entry_bytes = file_.superblock().length_bytes + width + 24;
  const std::vector<std::byte> head = read(walk, address, kHeadBytes);
  H5Fields fields(head, subject(walk));
  fields.expect(walk.seen.insert(address).second, "an index that leads to a part twice");
  fields.expect(fields.starts_with("SNOD\x01", 5), "no members");
  fields.skip(6);
  const std::uint64_t n = fields.number(2);
  fields.expect(n <= file_.superblock().most_symbols, "more members than fit");
  const std::vector<std::byte> symbols = read(walk, address + kHeadBytes, n * entry_bytes);
  H5Fields entries(symbols, subject(walk));
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t name = entries.number(file_.superblock().length_bytes);
    entries.skip(width);
    constexpr unsigned kSoftLink = 2;
    const bool soft = entries.number(4) == kSoftLink;
    entries.skip(4);
    const std::uint64_t target = entries.number(4);
    entries.skip(12);
    entries.expect(name <= last_name && (!soft || target <= last_name), "a name outside of its heap");
  }
}

/// Where the last zero of a heap of names is: texts that begin up to there end inside of it.
std::uint64_t H5HeaderCheck::last_name(Walk& walk, std::uint64_t heap) {
  const std::uint64_t head_bytes = 8 + 2 * file_.superblock().length_bytes + file_.superblock().address_bytes;
  const std::vector<std::byte> head = read(walk, heap, head_bytes);
  H5Fields fields(head, subject(walk));
  fields.expect(fields.starts_with("HEAP\x00", 5), "no heap of names");
  fields.skip(8);
  const std::uint64_t n = fields.number(file_.superblock().length_bytes);
  fields.skip(file_.superblock().length_bytes);
  const std::uint64_t address = fields.number(file_.superblock().address_bytes);
  constexpr std::uint64_t kTailBytes = std::uint64_t{64} << 10;  // no name is as long
  const std::uint64_t tail = std::min(n, kTailBytes);
  fields.expect(address <= address + n, "a heap of names outside the file");
  const std::vector<std::byte> bytes = read(walk, address + (n - tail), tail);
  const auto zero = std::find(bytes.rbegin(), bytes.rend(), std::byte{0});
  fields.expect(zero != bytes.rend(), "names without an end");
  return n - 1 - static_cast<std::uint64_t>(zero - bytes.rbegin());
}

}  // namespace phase0::store
