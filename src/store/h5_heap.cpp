#include "store/h5_heap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

namespace phase0::store {
namespace {

constexpr std::size_t kMaxCollectionBytes = std::size_t{16} << 20;
/// HDF5 lets a collection grow to this; only a larger string has a larger one, for itself.
constexpr std::int64_t kSharedCollectionBytes = std::int64_t{64} << 10;
constexpr std::size_t kHeapHeadBytes = 8;  // GCOL, version, 3 reserved

std::uint64_t little_endian(const std::byte* bytes, std::size_t n) {
  std::uint64_t value = 0;
  for (std::size_t i = n; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

/// The parts of a heap end at multiples of 8 bytes.
std::uint64_t padded(std::uint64_t n) {
  return (n + 7) / 8 * 8;
}

herr_t keep_reference(hid_t, hid_t, H5T_cdata_t* data, size_t, size_t, size_t, void*, void*, hid_t) {
  if (data->command == H5T_CONV_INIT) data->need_bkg = H5T_BKG_NO;
  return 0;
}

struct Reference {
  std::uint64_t address = 0;  ///< of the collection
  std::uint32_t length = 0;
  std::uint32_t index = 0;  ///< of the object in it
  std::size_t position = 0;
};

/// By the collections' addresses; those of empty strings lead nowhere.
std::vector<Reference> sorted_references(const H5Source& source, std::span<const std::byte> stored) {
  const std::size_t address_bytes = source.address_bytes();
  std::vector<Reference> references;
  for (std::size_t i = 0; i < stored.size() / source.reference_bytes(); ++i) {
    const std::byte* one = stored.data() + i * source.reference_bytes();
    const auto length = static_cast<std::uint32_t>(little_endian(one, 4));
    if (length == 0) continue;
    references.push_back({.address = little_endian(one + 4, address_bytes),
                          .length = length,
                          .index = static_cast<std::uint32_t>(little_endian(one + 4 + address_bytes, 4)),
                          .position = i});
  }
  std::sort(references.begin(), references.end(), [](const Reference& a, const Reference& b) {
    return a.address != b.address ? a.address < b.address : a.position < b.position;
  });
  return references;
}

/// The collection that was read last.
class Collection {
 public:
  Collection(const H5Source& source, const std::string& object) : source_(source), object_(object) {}

  /// Addresses must ascend.
  void load(std::uint64_t address) {
    if (!bytes_.empty() && address == address_) return;
    if (address < address_ + bytes_.size()) fail("a heap inside of another", address);
    address_ = address;
    read_bytes();
    find_objects();
  }
  std::string_view text(const Reference& reference) const {
    const auto item = items_.find(reference.index);
    if (item == items_.end() || item->second.size < reference.length) {
      source_.fail(object_, "a string of it is damaged: it is not where it should be");
    }
    const auto* text = reinterpret_cast<const char*>(bytes_.data() + item->second.offset);
    return {text, ::strnlen(text, reference.length)};  // some writers count the terminator
  }

 private:
  struct Item {
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  [[noreturn]] void fail(const char* problem, std::uint64_t address) const {
    source_.fail(object_, fmt::format("its strings are damaged: {} at offset {}", problem, address));
  }
  std::size_t header_bytes() const { return padded(kHeapHeadBytes + source_.length_bytes()); }

  void read_bytes() {
    const auto file_bytes = static_cast<std::uint64_t>(source_.file_bytes());
    const std::uint64_t base = source_.base_address();
    if (base > file_bytes || address_ > file_bytes - base || file_bytes - base - address_ < header_bytes()) {
      fail("a heap outside the file", address_);
    }
    const auto read = [&](std::size_t n) {
      bytes_.resize(n);
      read_exactly(source_.descriptor(), static_cast<std::int64_t>(base + address_),
                   static_cast<std::int64_t>(n), bytes_.data(), source_.path(), source_.damage());
    };
    read(header_bytes());
    const std::uint64_t size = little_endian(bytes_.data() + kHeapHeadBytes, source_.length_bytes());
    if (std::memcmp(bytes_.data(), "GCOL\x01", 5) != 0) fail("no heap", address_);
    if (size < header_bytes() || size > kMaxCollectionBytes || size > file_bytes - base - address_) {
      fail("a heap of impossible size", address_);
    }
    source_.heap_room() -= static_cast<std::int64_t>(size);
    if (source_.heap_room() < 0) fail("a heap far larger than its strings", address_);
    read(size);
  }

  void find_objects() {
    items_.clear();
    const std::size_t size = bytes_.size();
    const std::size_t item_header = padded(8 + source_.length_bytes());  // index, references, reserved, size
    for (std::size_t at = header_bytes(); size - at >= item_header;) {
      const auto index = static_cast<std::uint32_t>(little_endian(bytes_.data() + at, 2));
      if (index == 0) break;  // the free space at the end
      const std::uint64_t item_size = little_endian(bytes_.data() + at + 8, source_.length_bytes());
      const std::size_t left = size - at - item_header;
      if (item_size > left) fail("a heap object of impossible size", address_);
      if (!items_.try_emplace(index, Item{at + item_header, item_size}).second)
        fail("a heap with two objects of one number", address_);
      at += item_header + std::min<std::size_t>(padded(item_size), left);
    }
  }

  const H5Source& source_;
  const std::string& object_;
  std::uint64_t address_ = 0;
  std::vector<std::byte> bytes_;
  std::unordered_map<std::uint32_t, Item> items_;  ///< by index
};

}  // namespace

void read_heap_strings(const H5Source& source, const std::string& object,
                       std::span<const std::byte> references, std::int64_t& room,
                       std::vector<std::string>& out) {
  const std::size_t first = out.size();
  out.resize(first + references.size() / source.reference_bytes());
  Collection collection(source, object);
  for (const Reference& reference : sorted_references(source, references)) {
    source.heap_room() += kSharedCollectionBytes;
    collection.load(reference.address);
    const std::string_view text = collection.text(reference);
    const auto n = static_cast<std::int64_t>(text.size());
    if (n > room) source.fail(object, "its strings take far more memory than the file has bytes");
    room -= n;
    source.heap_room() += n;
    out[first + reference.position] = text;
  }
}

bool register_reference_conversion() {
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  const hid_t opaque = H5Tcreate(H5T_OPAQUE, 1);
  const herr_t result = H5Tregister(H5T_PERS_SOFT, "phase0_reference", text, opaque, keep_reference);
  H5Tclose(opaque);
  H5Tclose(text);
  return result >= 0;
}

}  // namespace phase0::store
