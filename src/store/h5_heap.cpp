#include "store/h5_heap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace phase0::store {
namespace {

constexpr std::size_t kMaxCollectionBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxCachedBytes = std::size_t{32} << 20;
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

}  // namespace

std::string H5GlobalHeap::read(const std::byte* reference, const std::string& object) {
  const std::size_t address_bytes = source_.address_bytes();
  const std::uint64_t length = little_endian(reference, 4);
  const std::uint64_t address = little_endian(reference + 4, address_bytes);
  const auto index = static_cast<unsigned>(little_endian(reference + 4 + address_bytes, 4));
  if (length == 0) return "";
  const Collection& heap = collection(address, object);
  const auto item = heap.items.find(index);
  if (item == heap.items.end() || item->second.size < length) {
    source_.fail(object, "a string of it is damaged: it is not where it should be");
  }
  const auto* text = reinterpret_cast<const char*>(heap.bytes.data() + item->second.offset);
  return {text, ::strnlen(text, length)};  // some writers count the terminator
}

const H5GlobalHeap::Collection& H5GlobalHeap::collection(std::uint64_t address, const std::string& object) {
  const auto known = collections_.find(address);
  if (known != collections_.end()) return known->second;
  if (cached_bytes_ > kMaxCachedBytes) {
    collections_.clear();
    cached_bytes_ = 0;
  }
  const Collection& loaded = collections_.emplace(address, load(address, object)).first->second;
  cached_bytes_ += loaded.bytes.size();
  return loaded;
}

H5GlobalHeap::Collection H5GlobalHeap::load(std::uint64_t address, const std::string& object) const {
  const std::size_t length_bytes = source_.length_bytes();
  const std::size_t header_bytes = padded(kHeapHeadBytes + length_bytes);
  const auto fail = [&](const char* problem) {
    source_.fail(object, fmt::format("its strings are damaged: {} at offset {}", problem, address));
  };
  const auto file_bytes = static_cast<std::uint64_t>(source_.file_bytes());
  const std::uint64_t base = source_.base_address();
  if (base > file_bytes || address > file_bytes - base || file_bytes - base - address < header_bytes) {
    fail("a heap outside the file");
  }
  const auto offset = static_cast<std::int64_t>(base + address);
  Collection heap;
  const auto read = [&](std::size_t n) {
    heap.bytes.resize(n);
    read_exactly(source_.descriptor(), offset, static_cast<std::int64_t>(n), heap.bytes.data(),
                 source_.path(), source_.damage());
  };
  read(header_bytes);
  const std::uint64_t size = little_endian(heap.bytes.data() + kHeapHeadBytes, length_bytes);
  if (std::memcmp(heap.bytes.data(), "GCOL\x01", 5) != 0) fail("no heap");
  if (size < header_bytes || size > kMaxCollectionBytes || size > file_bytes - base - address) {
    fail("a heap of impossible size");
  }
  read(size);

  const std::size_t item_header = padded(8 + length_bytes);  // index, reference count, reserved, size
  for (std::size_t at = header_bytes; size - at >= item_header;) {
    const auto index = static_cast<unsigned>(little_endian(heap.bytes.data() + at, 2));
    if (index == 0) break;  // the free space at the end
    const std::uint64_t item_size = little_endian(heap.bytes.data() + at + 8, length_bytes);
    const std::size_t left = size - at - item_header;
    if (item_size > left) fail("a heap object of impossible size");
    heap.items[index] = {at + item_header, item_size};
    at += item_header + std::min<std::size_t>(padded(item_size), left);
  }
  return heap;
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
