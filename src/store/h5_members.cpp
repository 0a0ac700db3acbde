#include "store/h5_members.h"

#include <algorithm>
#include <bit>
#include <set>
#include <vector>

namespace phase0::store {
namespace {

/// An object too large for the heap's blocks, for which there is an index of its own.
constexpr const char* kLongName = "a group with a member whose name has thousands of bytes";

unsigned log2_of(std::uint64_t n) {
  return static_cast<unsigned>(std::bit_width(n)) - 1;
}
/// Bytes that hold a number up to `most`.
std::size_t width_of(std::uint64_t most) {
  return log2_of(most) / 8 + 1;
}

/// Reads the parts of a group. They do not overlap in a sound file, so that together they are no larger than
/// it: a forged one may not have the same bytes read again and again.
class Parts {
 public:
  Parts(const H5Bytes& file, std::string_view object) : file_(file), object_(object), left_(file.left(0)) {}

  const H5Bytes& file() const { return file_; }
  H5Fields::Subject subject() const { return file_.subject(object_); }
  std::vector<std::byte> read(std::uint64_t address, std::uint64_t n) {
    H5Fields({}, subject()).expect(n <= left_, "members whose parts overlap");
    left_ -= n;
    return file_.read(object_, address, n);
  }

 private:
  const H5Bytes& file_;
  std::string_view object_;
  std::uint64_t left_;
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
    read_objects(header, length);
    read_table(header, length);
    const std::uint64_t root = header.number(address_bytes_);
    const std::uint64_t rows = header.number(2);
    if (!is_defined_address(root, address_bytes_)) return;
    if (rows == 0) {
      add_block(root, 0, first_bytes_);
    } else {
      add_blocks(root, 0, rows);
    }
  }

  std::size_t id_bytes() const { return id_bytes_; }

  /// The bytes of the object that `id` names.
  std::vector<std::byte> read(H5Fields id) const {
    const unsigned kind = id.byte() >> 4U;
    id.expect(kind == 0, "a member that is no object of the heap");
    const std::uint64_t offset = id.number(offset_bytes_);
    const std::uint64_t n = id.number(length_bytes_);
    const auto behind =
        std::upper_bound(blocks_.begin(), blocks_.end(), offset,
                         [](std::uint64_t at, const Block& block) { return at < block.offset; });
    id.expect(behind != blocks_.begin(), "a member outside of its heap");
    const Block& block = behind[-1];
    const std::uint64_t inside = offset - block.offset;
    id.expect(inside >= direct_front_bytes_ && inside < block.bytes && n <= block.bytes - inside,
              "a member outside of its heap");
    return parts_.read(block.address + inside, n);
  }

 private:
  struct Block {
    std::uint64_t offset = 0;  ///< in the heap
    std::uint64_t bytes = 0;
    std::uint64_t address = 0;
  };

  /// The front of the header.
  void read_objects(H5Fields& header, std::size_t length) {
    header.expect(header.starts_with("FRHP\x00", 5), "no heap of members");
    header.skip(5);
    id_bytes_ = static_cast<std::size_t>(header.number(2));
    if (header.number(2) != 0) header.unsupported("a group whose members are compressed");
    const bool summed = (header.byte() & 2U) != 0;
    direct_front_bytes_ = summed ? H5Bytes::kChecksumBytes : 0;
    most_object_bytes_ = header.number(4);
    header.skip(length);
    if (is_defined_address(header.number(address_bytes_), address_bytes_)) header.unsupported(kLongName);
    header.skip(9 * length + address_bytes_);
  }

  /// Behind it, the sizes of the blocks.
  void read_table(H5Fields& header, std::size_t length) {
    columns_ = header.number(2);
    first_bytes_ = header.number(length);
    most_direct_bytes_ = header.number(length);
    const std::uint64_t bits = header.number(2);
    header.skip(2);
    const bool powers = std::has_single_bit(columns_) && std::has_single_bit(first_bytes_) &&
                        std::has_single_bit(most_direct_bytes_);
    header.expect(powers && first_bytes_ <= most_direct_bytes_ && most_direct_bytes_ <= H5Bytes::kMostBytes &&
                      most_object_bytes_ > 0,
                  "a heap with blocks of impossible size");
    row_bits_ = log2_of(first_bytes_) + log2_of(columns_);
    header.expect(bits >= row_bits_ && bits < 64, "a heap of impossible size");
    most_rows_ = bits - row_bits_ + 1;
    offset_bytes_ = static_cast<std::size_t>(bits + 7) / 8;
    length_bytes_ =
        std::min<std::size_t>((log2_of(most_direct_bytes_) + 7) / 8, width_of(most_object_bytes_));
    header.expect(id_bytes_ >= 1 + offset_bytes_ + length_bytes_, "a heap whose objects cannot be named");
    front_bytes_ = 5 + address_bytes_ + offset_bytes_;
    direct_front_bytes_ += front_bytes_;
  }

  H5Fields fields(const std::vector<std::byte>& bytes) const { return {bytes, parts_.subject()}; }

  void add_block(std::uint64_t address, std::uint64_t offset, std::uint64_t n) {
    const std::vector<std::byte> bytes = parts_.read(address, direct_front_bytes_);
    H5Fields front = fields(bytes);
    front.expect(front.starts_with("FHDB\x00", 5), "no block of a heap");
    front.expect(n <= parts_.file().left(address), "a heap outside the file");
    front.expect(seen_.insert(address).second, "a heap that leads to a block twice");
    blocks_.push_back({offset, n, address});
  }

  /// A block that leads to others, row by row.
  void add_blocks(std::uint64_t address, std::uint64_t offset, std::uint64_t rows) {
    fields({}).expect(rows <= most_rows_, "a heap of too many rows");
    const std::uint64_t n_entries = rows * columns_;
    const std::vector<std::byte> bytes = parts_.read(address, front_bytes_ + n_entries * address_bytes_);
    H5Fields entries = fields(bytes);
    entries.expect(entries.starts_with("FHIB\x00", 5), "no block of a heap");
    entries.expect(seen_.insert(address).second, "a heap that leads to a block twice");
    entries.skip(front_bytes_);
    for (std::uint64_t row = 0; row < rows; ++row) {
      const std::uint64_t n = first_bytes_ << (row > 1 ? row - 1 : 0);
      for (std::uint64_t i = 0; i < columns_; ++i, offset += n) {
        const std::uint64_t child = entries.number(address_bytes_);
        if (!is_defined_address(child, address_bytes_)) continue;
        if (n <= most_direct_bytes_) {
          add_block(child, offset, n);
        } else {
          entries.expect(log2_of(n) >= row_bits_, "a heap with blocks of impossible size");
          add_blocks(child, offset, log2_of(n) - row_bits_ + 1);
        }
      }
    }
  }

  Parts& parts_;
  std::size_t address_bytes_;
  std::size_t id_bytes_ = 0;
  std::uint64_t most_object_bytes_ = 0;
  std::uint64_t columns_ = 0;
  std::uint64_t first_bytes_ = 0;        ///< of a block of the first row
  std::uint64_t most_direct_bytes_ = 0;  ///< larger ones lead to others
  unsigned row_bits_ = 0;
  std::uint64_t most_rows_ = 0;
  std::size_t offset_bytes_ = 0;  ///< widths of the numbers in an object's name
  std::size_t length_bytes_ = 0;
  std::size_t front_bytes_ = 0;  ///< that every block begins with
  std::size_t direct_front_bytes_ = 0;
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
    node_bytes_ = fields.number(4);
    fields.expect(fields.number(2) == kHashBytes + heap_.id_bytes(),
                  "an index of members with other records");
    const std::uint64_t depth = fields.number(2);
    fields.skip(2);
    const std::uint64_t root = fields.number(address_bytes_);
    const std::uint64_t n = fields.number(2);
    const std::uint64_t total = fields.number(length);
    set_levels(fields, depth);
    const bool empty = !is_defined_address(root, address_bytes_);
    const std::uint64_t found = empty ? 0 : check_node(root, n, static_cast<std::size_t>(depth));
    fields.expect(found == total, "an index that has not as many members as it states");
  }

 private:
  static constexpr std::size_t kHashBytes = 4;
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
    const std::uint64_t record = kHashBytes + heap_.id_bytes();
    fields.expect(
        depth <= kMostDepth && node_bytes_ >= kAround + record && node_bytes_ <= H5Bytes::kMostBytes,
        "an index with nodes of impossible size");
    const std::uint64_t leaf = (node_bytes_ - kAround) / record;
    count_bytes_ = width_of(leaf);
    levels_ = {{leaf, leaf, 0}};
    for (std::uint64_t i = 1; i <= depth; ++i) {
      const Level& below = levels_.back();
      const std::uint64_t pointer = address_bytes_ + count_bytes_ + below.total_bytes;
      const std::uint64_t room = node_bytes_ - std::min(node_bytes_, kAround + pointer);
      Level level{.most = room / (record + pointer), .most_below = 0, .total_bytes = 0};
      fields.expect(level.most > 0 &&
                        !__builtin_mul_overflow(level.most + 1, below.most_below, &level.most_below) &&
                        !__builtin_add_overflow(level.most_below, level.most, &level.most_below),
                    "an index with nodes of impossible size");
      level.total_bytes = width_of(level.most_below);
      levels_.push_back(level);
    }
  }

  /// How many records it and all below it have.
  std::uint64_t check_node(std::uint64_t address, std::uint64_t n, std::size_t level) {
    const std::vector<std::byte> bytes = parts_.read(address, node_bytes_);
    H5Fields fields(bytes, parts_.subject());
    fields.expect(seen_.insert(address).second, "an index that leads to a part twice");
    fields.expect(fields.starts_with(level > 0 ? "BTIN\x00\x05" : "BTLF\x00\x05", kFrontBytes),
                  "no part of an index");
    fields.expect(n <= levels_[level].most, "more members than fit");
    fields.skip(kFrontBytes);
    for (std::uint64_t i = 0; i < n; ++i) {
      fields.skip(kHashBytes);
      check_link(fields.take(heap_.id_bytes()));
    }
    std::uint64_t total = n;
    for (std::uint64_t i = 0; level > 0 && i <= n; ++i) {
      const std::uint64_t child = fields.number(address_bytes_);
      const std::uint64_t n_child = fields.number(count_bytes_);
      const std::size_t total_bytes = levels_[level - 1].total_bytes;
      const std::uint64_t stated = total_bytes > 0 ? fields.number(total_bytes) : n_child;
      const std::uint64_t found = check_node(child, n_child, level - 1);
      fields.expect(found == stated, "an index that has not as many members as it states");
      total += found;
    }
    return total;
  }

  void check_link(H5Fields id) const {
    constexpr unsigned kLink = 0x06;
    const std::vector<std::byte> link = heap_.read(id);
    H5Parts none;
    check_message({.type = kLink, .flags = 0}, {link, parts_.subject()}, parts_.file().superblock(), none);
  }

  Parts& parts_;
  const LinkHeap& heap_;
  std::size_t address_bytes_;
  std::uint64_t node_bytes_ = 0;
  std::size_t count_bytes_ = 0;
  std::vector<Level> levels_;
  std::set<std::uint64_t> seen_;
};

}  // namespace

void check_members(const H5Bytes& file, std::string_view object, const H5Parts::Members& members) {
  Parts parts(file, object);
  const LinkHeap heap(parts, members.heap);
  NameIndex(parts, heap).check(members.index);
}

}  // namespace phase0::store
