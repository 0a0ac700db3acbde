#include "store/h5_messages.h"

#include <optional>

#include "store/h5_message_types.h"

namespace phase0::store {
namespace {

constexpr unsigned kShared = 2;  // in a message's flags: it is kept elsewhere
constexpr unsigned kMostChunkDims = 33;
constexpr unsigned kMostFilters = 32;

class MessageCheck {
 public:
  MessageCheck(H5Fields body, const H5Superblock& superblock, H5Parts& parts)
      : body_(body), address_(superblock.address_bytes), length_(superblock.length_bytes), parts_(parts) {}

  void run(const H5Message& message) {
    if ((message.flags & kShared) != 0) {
      body_.expect(message.type == 0x03, "a message that is kept elsewhere");
      return shared_type(body_);
    }
    switch (message.type) {
      case 0x01:
        check_dataspace(body_, length_);
        return;
      case 0x02:
        return link_info();
      case 0x03:
        check_datatype(body_, address_);
        return;
      case 0x04:
        return body_.skip(body_.number(4));
      case 0x05:
        return fill_value();
      case 0x06:
        return link();
      case 0x07:
        body_.refuse("has external raw storage; only data inside the file is read");
      case 0x08:
        return layout();
      case 0x0a:
        return group_info();
      case 0x0b:
        return pipeline();
      case 0x0c:
        return attribute();
      case 0x0d:
        body_.skip_text();
        return;
      case 0x0e:
        return body_.skip(16);  // a time in digits
      case 0x11:
        return members();
      case 0x12:
        return body_.skip(8);
      case 0x15:
        return attribute_info();
      case 0x16:
        return body_.skip(5);
      case 0x17:
        return file_space();
      case 0x0f:
        body_.unsupported("a table of shared messages");
      case 0x13:
        body_.unsupported("an index with nodes of another size");
      case 0x14:
        body_.unsupported("another driver of HDF5");
      case 0x18:
        body_.unsupported("an image of HDF5's cache");
      default:
        return;
    }
  }

 private:
  /// A reference to a type with a header of its own.
  void shared_type(H5Fields& fields) {
    const unsigned version = fields.byte();
    const unsigned kind = fields.byte();
    fields.expect(version >= 1 && version <= 3 && (version < 3 || kind == 2),
                  "a message that is kept elsewhere");
    if (version == 1) fields.skip(6 + length_);
    parts_.headers.push_back(fields.number(address_));
  }

  /// Of links or attributes: behind the flags, the largest number if they are numbered, and addresses.
  H5Parts::Members index_info(std::size_t number_bytes) {
    body_.skip(1);
    const unsigned flags = body_.byte();
    if ((flags & 1U) != 0) body_.skip(number_bytes);
    const std::uint64_t heap = body_.number(address_);
    const std::uint64_t index = body_.number(address_);
    if ((flags & 2U) != 0) body_.skip(address_);
    return {heap, index};
  }

  void link_info() {
    const H5Parts::Members members = index_info(8);
    if (is_defined_address(members.heap, address_)) parts_.members.push_back(members);
  }

  /// HDF5 would decode attributes in a heap of their own unchecked.
  void attribute_info() {
    if (is_defined_address(index_info(2).heap, address_)) {
      body_.unsupported(
          "an object with so many attributes (more than 8) that they stand outside of its header");
    }
  }

  void fill_value() {
    const unsigned version = body_.byte();
    bool sized = false;
    if (version == 3) {
      sized = (body_.byte() & 0x20U) != 0;
    } else {
      body_.expect(version == 1 || version == 2, "a fill value that is not known");
      body_.skip(2);
      sized = body_.byte() != 0 || version == 1;
    }
    if (!sized) return;
    const std::uint64_t n = body_.number(4);
    constexpr std::uint64_t kUndefined = 0xffffffffU;
    if (n != kUndefined) body_.skip(n);
  }

  /// Of a link that HDF5 refuses to decode it frees the neighbours, which it has not read yet.
  void link() {
    constexpr unsigned kHard = 0;
    constexpr unsigned kSoft = 1;
    constexpr unsigned kFirstOfUsers = 64;
    body_.expect(body_.byte() == 1, "a link that is not known");
    const unsigned flags = body_.byte();
    const unsigned type = (flags & 8U) != 0 ? body_.byte() : kHard;
    body_.expect((flags & ~0x1fU) == 0 && (type <= kSoft || type >= kFirstOfUsers),
                 "a link that is not known");
    if ((flags & 4U) != 0) body_.skip(8);
    if ((flags & 0x10U) != 0) body_.expect(body_.byte() <= 1, "a link's name in an unknown character set");
    const std::uint64_t n = body_.number(std::size_t{1} << (flags & 3U));
    body_.expect(n > 0, "a link without a name");
    body_.skip(n);
    if (type == kHard) return body_.skip(address_);
    const std::uint64_t target = body_.number(2);
    body_.expect(target > 0, "a link to nothing");
    body_.skip(target);
  }

  /// Their product.
  std::uint64_t dimensions(unsigned n, std::size_t width) {
    body_.expect(n > 0 && n <= kMostChunkDims, "a layout of impossible rank");
    std::uint64_t product = 1;
    for (unsigned i = 0; i < n; ++i) {
      const std::uint64_t size = body_.number(width);
      body_.expect(size > 0, "a chunk without values");
      body_.expect(!__builtin_mul_overflow(product, size, &product), "a chunk of impossible size");
    }
    return product;
  }

  void layout() {
    enum : unsigned { kCompact, kContiguous, kChunked, kVirtual };
    const unsigned version = body_.byte();
    if (version > 4) body_.unsupported("a layout of a newer HDF5");
    body_.expect(version >= 1, "a layout that is not known");
    if (version < 3) return old_layout();
    switch (body_.byte()) {
      case kCompact:
        return body_.skip(body_.number(2));
      case kContiguous:
        return body_.skip(address_ + length_);
      case kChunked:
        return version == 4 ? chunk_index() : chunks();
      case kVirtual:
        return body_.skip(address_ + 4);
      default:
        body_.fail("a layout that is not known");
    }
  }

  void old_layout() {
    const unsigned n = body_.byte();
    const unsigned kind = body_.byte();
    body_.expect(kind <= 2, "a layout that is not known");
    body_.skip(5);
    const std::uint64_t place = kind != 0 ? body_.number(address_) : 0;
    if (kind == 2) return chunk_tree(n, place);
    body_.expect(n <= kMostChunkDims, "a layout of impossible rank");
    body_.skip(4 * n);
    if (kind == 0) body_.skip(body_.number(4));
  }

  void members() {
    const std::uint64_t tree = body_.number(address_);
    parts_.trees.push_back({.address = tree,
                            .key_bytes = length_,
                            .of_chunks = false,
                            .heap = body_.number(address_),
                            .chunk_bytes = 0,
                            .filtered = false});
  }

  void chunks() {
    const unsigned n = body_.byte();
    const std::uint64_t tree = body_.number(address_);
    chunk_tree(n, tree);
  }

  /// Behind them are the chunk's dimensions, and the size of a value as the last.
  void chunk_tree(unsigned n, std::uint64_t tree) {
    const std::uint64_t bytes = dimensions(n, 4);
    if (!is_defined_address(tree, address_)) return;
    parts_.trees.push_back({.address = tree,
                            .key_bytes = 8 + 8 * std::size_t{n},
                            .of_chunks = true,
                            .heap = 0,
                            .chunk_bytes = bytes,
                            .filtered = false});
  }

  void chunk_index() {
    const unsigned flags = body_.byte();
    const unsigned n = body_.byte();
    const unsigned width = body_.byte();
    body_.expect(width >= 1 && width <= 8, "a chunk of impossible size");
    dimensions(n, width);
    // HDF5 1.10 trusts what the indexes of their own say: arrays, fixed and extensible, and trees of
    // version 2.
    enum : unsigned { kOneChunk = 1, kImplicit = 2, kMostKinds = 5 };
    const unsigned kind = body_.byte();
    body_.expect(kind >= kOneChunk && kind <= kMostKinds, "an index of chunks that is not known");
    if (kind > kImplicit) body_.unsupported("an index of chunks in the formats since HDF5 1.10");
    const bool filtered = kind == kOneChunk && (flags & 2U) != 0;
    body_.skip((filtered ? length_ + 4 : 0) + address_);
  }

  void group_info() {
    body_.skip(1);
    const unsigned flags = body_.byte();
    body_.skip(((flags & 1U) != 0 ? 4 : 0) + ((flags & 2U) != 0 ? 4 : 0));
  }

  void pipeline() {
    const unsigned version = body_.byte();
    body_.expect(version == 1 || version == 2, "filters that are not known");
    const unsigned n = body_.byte();
    body_.expect(n > 0 && n <= kMostFilters, "an impossible number of filters");
    parts_.filtered = true;
    if (version == 1) body_.skip(6);
    for (unsigned i = 0; i < n; ++i) {
      const bool named = body_.number(2) >= 256 || version == 1;
      const std::uint64_t name_bytes = named ? body_.number(2) : 0;
      body_.skip(2);
      const std::uint64_t n_values = body_.number(2);
      H5Fields name = body_.take(version == 1 ? (name_bytes + 7) / 8 * 8 : name_bytes);
      if (name_bytes > 0) name.skip_text();
      body_.skip(4 * (version == 1 ? n_values + n_values % 2 : n_values));
    }
  }

  void attribute() {
    const unsigned version = body_.byte();
    body_.expect(version >= 1 && version <= 3, "an attribute that is not known");
    const unsigned flags = version == 1 ? (body_.skip(1), 0U) : body_.byte();
    std::uint64_t sizes[3];
    for (std::uint64_t& size : sizes) size = body_.number(2);
    if (version == 3) body_.skip(1);
    const auto part = [&](std::uint64_t n) { return body_.take(version == 1 ? (n + 7) / 8 * 8 : n); };
    H5Fields name = part(sizes[0]);
    body_.expect(sizes[0] > 0 && name.skip_text() == sizes[0], "an attribute whose name has another length");
    body_.expect((flags & 2U) == 0, "a message that is kept elsewhere");
    std::optional<std::uint64_t> value_bytes;
    H5Fields type = part(sizes[1]);
    if ((flags & 1U) != 0) {
      shared_type(type);
    } else {
      value_bytes = check_datatype(type, address_);
    }
    H5Fields space = part(sizes[2]);
    const std::uint64_t n_values = check_dataspace(space, length_);
    if (value_bytes)
      body_.expect(n_values <= body_.left() / *value_bytes, "an attribute larger than its place");
  }

  void file_space() {
    const unsigned version = body_.byte();
    const unsigned strategy = body_.byte();
    constexpr std::size_t kManagersOld = 6;
    constexpr std::size_t kManagers = 12;
    if (version == 0) return body_.skip(length_ + (strategy == 1 ? kManagersOld * address_ : 0));
    const bool kept = body_.byte() != 0;
    body_.skip(2 * length_ + 2 + address_ + (kept ? kManagers * address_ : 0));
  }

  H5Fields body_;
  std::size_t address_;
  std::size_t length_;
  H5Parts& parts_;
};

}  // namespace

void check_message(const H5Message& message, H5Fields body, const H5Superblock& superblock, H5Parts& parts) {
  MessageCheck(body, superblock, parts).run(message);
}

std::span<const std::byte> link_name(std::span<const std::byte> link) {
  const auto flags = std::to_integer<unsigned>(link[1]);
  std::size_t at = 2;
  if ((flags & 8U) != 0) at += 1;     // type
  if ((flags & 4U) != 0) at += 8;     // number
  if ((flags & 0x10U) != 0) at += 1;  // character set
  const std::size_t width = std::size_t{1} << (flags & 3U);
  std::size_t n = 0;
  for (std::size_t i = 0; i < width; ++i) n |= std::to_integer<std::size_t>(link[at + i]) << (8 * i);
  return link.subspan(at + width, n);
}

}  // namespace phase0::store
