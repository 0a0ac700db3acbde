#include "store/h5_bytes.h"

namespace phase0::store {

std::vector<std::byte> H5Bytes::read(std::string_view object, std::uint64_t address, std::uint64_t n) {
  std::vector<std::byte> bytes = peek(object, address, n);
  H5Fields({}, subject(object)).expect(n <= unread_, "parts of it overlap, or are those of other objects");
  unread_ -= n;
  return bytes;
}

std::vector<std::byte> H5Bytes::peek(std::string_view object, std::uint64_t address, std::uint64_t n) const {
  if (address > bytes_ || n > bytes_ - address || n > kMostBytes) {
    H5Fields({}, subject(object)).fail("a part of impossible size or outside the file");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(n));
  read_exactly(file_, static_cast<std::int64_t>(superblock_.base_address + address), std::ssize(bytes),
               bytes.data(), path_, damage_);
  return bytes;
}

}  // namespace phase0::store
