#include "store/h5_members.h"

#include <algorithm>
#include <bit>
#include <set>
#include <vector>

#include "store/lookup3.h"

namespace phase0::store {
namespace {

// HDF5 has made every heap of links and every index of their names in this way since 1.8 (H5Gdense.c), and
// what it does with another is not to be relied upon.
constexpr std::uint64_t kIdBytes = 7;    // a mark, where in the heap (4) and how long (2)
constexpr std::uint64_t kHeapFlags = 2;  // blocks have checksums
constexpr std::uint64_t kMostLinkBytes = 4096;
constexpr std::uint64_t kColumns = 4;
constexpr std::uint64_t kFirstBlockBytes = 512;
constexpr std::uint64_t kMostBlockBytes = std::uint64_t{64} << 10;
constexpr std::uint64_t kHeapBits = 32;
constexpr std::size_t kOffsetBytes = 4;
constexpr std::size_t kLengthBytes = 2;
constexpr unsigned kRowBits = 11;  // of a row of the smallest blocks
constexpr std::uint64_t kMostRows = kHeapBits - kRowBits + 1;
constexpr std::uint64_t kNodeBytes = 512;
constexpr std::uint64_t kHashBytes = 4;
constexpr std::uint64_t kRecordBytes = kHashBytes + kIdBytes;

unsigned log2_of(std::uint64_t n) {
  return static_cast<unsigned>(std::bit_width(n)) - 1;
}
/// Bytes that hold a number up to `most`.
std::size_t width_of(std::uint64_t most) {
  return log2_of(most) / 8 + 1;
}

/// Reads the parts of a group.
class Parts {
 public:
  Parts(H5Bytes& file, std::string_view object) : file_(file), object_(object) {}

  const H5Bytes& file() const { return file_; }
  H5Fields::Subject subject() const { return file_.subject(object_); }
  std::vector<std::byte> read(std::uint64_t address, std::uint64_t n) {
    return file_.read(object_, address, n);
  }

 private:
  H5Bytes& file_;
  std::string_view object_;
};

/// The heap that the links are in: blocks of a doubling table, the first two rows of one size, each other of
/// twice the size before.
class LinkHeap {
 public:
  LinkHeap(Parts& parts, std::uint64_t address)
      : parts_(parts), address_bytes_(parts.file().superblock().address_bytes) {
    const std::size_t length = parts.file().superblock().length_bytes;
    const std::vector<std::byte> bytes = parts.read(address, 26 + 12 * length + 3 * address_bytes_);
    H5Fields header = fields(bytes);
    check_constants(header, length);
    const std::uint64_t root = header.number(address_bytes_);
    const std::uint64_t rows = header.number(2);
    if (!is_defined_address(root, address_bytes_)) return;
    if (rows == 0) {
      add_block(root, 0, kFirstBlockBytes);
    } else {
      add_blocks(root, 0, rows);
    }
  }

  /// The bytes of the object that `id` names.
  std::vector<std::byte> read(H5Fields id) const {
    const unsigned kind = id.byte() >> 4U;
    id.expect(kind == 0, "a member that is no object of the heap");
    const std::uint64_t offset = id.number(kOffsetBytes);
    const std::uint64_t n = id.number(kLengthBytes);
    const auto behind =
        std::upper_bound(blocks_.begin(), blocks_.end(), offset,
                         [](std::uint64_t at, const Block& block) { return at < block.offset; });
    id.expect(behind != blocks_.begin(), "a member outside of its heap");
    const Block& block = behind[-1];
    const std::uint64_t inside = offset - block.offset;
    id.expect(inside >= front_bytes() + H5Bytes::kChecksumBytes && inside < block.bytes &&
                  n <= std::min(block.bytes - inside, kMostLinkBytes),
              "a member outside of its heap");
    return parts_.read(block.address + inside, n);
  }

 private:
  struct Block {
    std::uint64_t offset = 0;  ///< in the heap
    std::uint64_t bytes = 0;
    std::uint64_t address = 0;
  };

  /// That every block begins with.
  std::size_t front_bytes() const { return 5 + address_bytes_ + kOffsetBytes; }

  /// The header up to the root's address.
  void check_constants(H5Fields& header, std::size_t length) const {
    header.expect(header.starts_with("FRHP\x00", 5), "no heap of members");
    header.skip(5);
    bool known = header.number(2) == kIdBytes;
    known &= header.number(2) == 0;  // filters
    known &= header.byte() == kHeapFlags;
    known &= header.number(4) == kMostLinkBytes;
    header.skip(length);
    const std::uint64_t large = header.number(address_bytes_);
    header.skip(9 * length + address_bytes_);
    known &= header.number(2) == kColumns;
    known &= header.number(length) == kFirstBlockBytes;
    known &= header.number(length) == kMostBlockBytes;
    known &= header.number(2) == kHeapBits;
    header.skip(2);
    header.expect(known, "a heap of members as HDF5 makes none");
    if (is_defined_address(large, address_bytes_))
      header.refuse("has a member whose name has thousands of bytes");
  }

  H5Fields fields(const std::vector<std::byte>& bytes) const { return {bytes, parts_.subject()}; }

  void add_block(std::uint64_t address, std::uint64_t offset, std::uint64_t n) {
    const std::vector<std::byte> bytes = parts_.read(address, front_bytes());
    H5Fields front = fields(bytes);
    front.expect(front.starts_with("FHDB\x00", 5), "no block of a heap");
    front.expect(n <= parts_.file().left(address), "a heap outside the file");
    front.expect(seen_.insert(address).second, "a heap that leads to a block twice");
    blocks_.push_back({offset, n, address});
  }

  /// A block that leads to others, row by row.
  void add_blocks(std::uint64_t address, std::uint64_t offset, std::uint64_t rows) {
    fields({}).expect(rows <= kMostRows, "a heap of too many rows");
    const std::uint64_t n_entries = rows * kColumns;
    const std::vector<std::byte> bytes = parts_.read(address, front_bytes() + n_entries * address_bytes_);
    H5Fields entries = fields(bytes);
    entries.expect(entries.starts_with("FHIB\x00", 5), "no block of a heap");
    entries.expect(seen_.insert(address).second, "a heap that leads to a block twice");
    entries.skip(front_bytes());
    for (std::uint64_t row = 0; row < rows; ++row) {
      const std::uint64_t n = kFirstBlockBytes << (row > 1 ? row - 1 : 0);
      for (std::uint64_t i = 0; i < kColumns; ++i, offset += n) {
        const std::uint64_t child = entries.number(address_bytes_);
        if (!is_defined_address(child, address_bytes_)) continue;
        if (n <= kMostBlockBytes) {
          add_block(child, offset, n);
        } else {
          add_blocks(child, offset, log2_of(n) - kRowBits + 1);
        }
      }
    }
  }

  Parts& parts_;
  std::size_t address_bytes_;
  std::vector<Block> blocks_;  ///< with objects, by offset
  std::set<std::uint64_t> seen_;
};

/// The index of version 2 by the names' hashes.
class NameIndex {
 public:
  NameIndex(Parts& parts, const LinkHeap& heap)
      : parts_(parts), heap_(heap), address_bytes_(parts.file().superblock().address_bytes) {}

  void check(std::uint64_t address) {
    const std::size_t length = parts_.file().superblock().length_bytes;
    const std::vector<std::byte> bytes = parts_.read(address, 18 + address_bytes_ + length);
    H5Fields fields(bytes, parts_.subject());
    fields.expect(fields.starts_with("BTHD\x00\x05", 6), "no index of members");
    fields.skip(6);
    const bool known = fields.number(4) == kNodeBytes && fields.number(2) == kRecordBytes;
    fields.expect(known, "an index of members as HDF5 makes none");
    const std::uint64_t depth = fields.number(2);
    fields.skip(2);
    const std::uint64_t root = fields.number(address_bytes_);
    const std::uint64_t n = fields.number(2);
    const std::uint64_t total = fields.number(length);
    set_levels(fields, depth);
    const bool empty = !is_defined_address(root, address_bytes_);
    fields.expect(empty || n > 0, "an index whose root is empty");
    const std::uint64_t found = empty ? 0 : check_node(root, n, static_cast<std::size_t>(depth));
    fields.expect(found == total, "an index that has not as many members as it states");
  }

 private:
  static constexpr std::size_t kFrontBytes = 6;
  /// The nodes that many steps above the leaves.
  struct Level {
    std::uint64_t most = 0;        ///< records in a node
    std::uint64_t most_below = 0;  ///< and in all that it leads to
    std::size_t total_bytes = 0;   ///< width of that number, where it is stated
  };

  void set_levels(const H5Fields& fields, std::uint64_t depth) {
    constexpr std::uint64_t kMostDepth = 16;
    constexpr std::uint64_t kAround = kFrontBytes + H5Bytes::kChecksumBytes;
    fields.expect(depth <= kMostDepth, "an index of impossible depth");
    const std::uint64_t leaf = (kNodeBytes - kAround) / kRecordBytes;
    count_bytes_ = width_of(leaf);
    levels_ = {{leaf, leaf, 0}};
    for (std::uint64_t i = 1; i <= depth; ++i) {
      const Level& below = levels_.back();
      const std::uint64_t pointer = address_bytes_ + count_bytes_ + below.total_bytes;
      Level level{.most = (kNodeBytes - kAround - pointer) / (kRecordBytes + pointer),
                  .most_below = 0,
                  .total_bytes = 0};
      fields.expect(!__builtin_mul_overflow(level.most + 1, below.most_below, &level.most_below) &&
                        !__builtin_add_overflow(level.most_below, level.most, &level.most_below),
                    "an index of impossible depth");
      level.total_bytes = width_of(level.most_below);
      levels_.push_back(level);
    }
  }

  /// How many records it and all below it have.
  std::uint64_t check_node(std::uint64_t address, std::uint64_t n, std::size_t level) {
    const std::vector<std::byte> bytes = parts_.read(address, kNodeBytes);
    H5Fields fields(bytes, parts_.subject());
    fields.expect(seen_.insert(address).second, "an index that leads to a part twice");
    fields.expect(fields.starts_with(level > 0 ? "BTIN\x00\x05" : "BTLF\x00\x05", kFrontBytes),
                  "no part of an index");
    fields.expect(n <= levels_[level].most, "more members than fit");
    fields.skip(kFrontBytes);
    H5Fields records = fields.take(n * kRecordBytes);
    std::uint64_t total = n;
    for (std::uint64_t i = 0; i <= n; ++i) {
      if (level > 0) total += check_child(fields, level - 1);
      if (i < n) check_record(records);
    }
    return total;
  }

  /// What a node leads to.
  std::uint64_t check_child(H5Fields& pointers, std::size_t level) {
    const std::uint64_t child = pointers.number(address_bytes_);
    const std::uint64_t n = pointers.number(count_bytes_);
    const std::size_t total_bytes = levels_[level].total_bytes;
    const std::uint64_t stated = total_bytes > 0 ? pointers.number(total_bytes) : n;
    const std::uint64_t found = check_node(child, n, level);
    pointers.expect(found == stated, "an index that has not as many members as it states");
    return found;
  }

  /// HDF5 looks names up by their hashes, which ascend: one that does not fit hides its member.
  void check_record(H5Fields& records) {
    const auto hash = static_cast<std::uint32_t>(records.number(kHashBytes));
    records.expect(hash >= last_hash_, "an index of members that is out of order");
    last_hash_ = hash;
    constexpr unsigned kLink = 0x06;
    const std::vector<std::byte> link = heap_.read(records.take(kIdBytes));
    H5Parts none;
    check_message({.type = kLink, .flags = 0}, {link, parts_.subject()}, parts_.file().superblock(), none);
    records.expect(lookup3(link_name(link)) == hash, "an index with a hash that is not its member's");
  }

  Parts& parts_;
  const LinkHeap& heap_;
  std::size_t address_bytes_;
  std::size_t count_bytes_ = 0;
  std::vector<Level> levels_;
  std::set<std::uint64_t> seen_;
  std::uint32_t last_hash_ = 0;
};

}  // namespace

void check_members(H5Bytes& file, std::string_view object, const H5Parts::Members& members) {
  Parts parts(file, object);
  const LinkHeap heap(parts, members.heap);
  NameIndex(parts, heap).check(members.index);
}

}  // namespace phase0::store
