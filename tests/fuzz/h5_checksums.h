#pragma once

#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

/// HDF5's own checksum of metadata (in its library, not in its headers).
extern "C" std::uint32_t H5_checksum_metadata(const void* data, std::size_t n, std::uint32_t start);

namespace phase0::fuzz {

/// Writes the checksums anew that HDF5 keeps in its newer structures (HDF5 File Format Specification 3.0), so
/// that what a mutation does to them is decoded and not refused. 8-byte addresses and lengths only; of heaps
/// and trees the header and what it leads to at once.
class H5Checksums {
 public:
  explicit H5Checksums(std::span<std::uint8_t> file) : file_(file) {}

  void mend() const {
    constexpr std::string_view kSuperblock = "\x89HDF\r\n\x1a\n";
    if (is_at(0, kSuperblock) && number(8, 1) >= 2) sum(0, 44);
    std::vector<std::size_t> continuations;
    for (std::size_t at = 0; at + 8 < file_.size(); ++at) {
      if (file_[at] < 'B' || file_[at] > 'O') continue;
      if (is_at(at, "OHDR")) mend_header(at);
      if (is_at(at, "OCHK")) continuations.push_back(at);
      if (is_at(at, "FRHP")) mend_heap(at);
      if (is_at(at, "BTHD")) mend_tree(at);
      if (is_at(at, "FAHD")) mend_fixed_array(at);
      if (is_at(at, "EAHD")) mend_extensible_array(at);
    }
    if (!continuations.empty()) mend_continuations(continuations);
  }

 private:
  bool is_at(std::size_t at, std::string_view text) const {
    return holds(at, text.size()) && std::memcmp(&file_[at], text.data(), text.size()) == 0;
  }
  bool holds(std::size_t at, std::size_t n) const { return at <= file_.size() && n <= file_.size() - at; }
  /// Little-endian; 0 behind the end.
  std::uint64_t number(std::size_t at, std::size_t n) const {
    std::uint64_t value = 0;
    if (holds(at, n)) std::memcpy(&value, &file_[at], n);
    return value;
  }
  /// Of `n` bytes from `at`, behind them.
  void sum(std::size_t at, std::size_t n) const {
    if (!holds(at, n) || !holds(at + n, 4)) return;
    const std::uint32_t value = H5_checksum_metadata(&file_[at], n, 0);
    std::memcpy(&file_[at + n], &value, sizeof(value));
  }

  void mend_header(std::size_t at) const {
    const auto flags = number(at + 5, 1);
    const std::size_t width = std::size_t{1} << (flags & 3U);
    const std::size_t front = 6 + ((flags & 0x20U) != 0 ? 16 : 0) + ((flags & 0x10U) != 0 ? 4 : 0) + width;
    sum(at, front + number(at + front - width, width));
  }

  /// The length of each stands behind its address, in the message that leads to it.
  void mend_continuations(const std::vector<std::size_t>& addresses) const {
    for (std::size_t i = 0; holds(i, 16); ++i) {
      const std::size_t address = number(i, 8);
      if (address >= file_.size() || address == 0) continue;
      if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) continue;
      if (number(i + 8, 8) > 4) sum(address, number(i + 8, 8) - 4);
    }
  }

  void mend_heap(std::size_t at) const {
    constexpr std::size_t kHeaderBytes = 142;
    const std::size_t filters = number(at + 7, 2);
    sum(at, kHeaderBytes + (filters > 0 ? filters + 12 : 0));
    const std::size_t columns = number(at + 110, 2);
    const std::size_t block_bytes = number(at + 112, 8);
    const std::size_t offset_bytes = (number(at + 128, 2) + 7) / 8;
    const std::size_t root = number(at + 132, 8);
    const std::size_t rows = number(at + 140, 2);
    const std::size_t front = 13 + offset_bytes;
    if (is_at(root, "FHDB")) {
      mend_block(root, front, block_bytes);
    } else if (is_at(root, "FHIB") && rows < 16 && columns < 16) {
      sum(root, front + rows * columns * 8);
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t i = 0; i < columns; ++i) {
          const std::size_t child = number(root + front + (row * columns + i) * 8, 8);
          if (is_at(child, "FHDB")) mend_block(child, front, block_bytes << (row > 1 ? row - 1 : 0));
        }
      }
    }
  }

  /// The sum stands inside of what it is of, and counts as zero there.
  void mend_block(std::size_t at, std::size_t front, std::size_t n) const {
    if (front > 64 || n < front + 4 || !holds(at, n)) return;
    std::memset(&file_[at + front], 0, 4);
    const std::uint32_t value = H5_checksum_metadata(&file_[at], n, 0);
    std::memcpy(&file_[at + front], &value, sizeof(value));
  }

  void mend_tree(std::size_t at) const {
    sum(at, 34);
    const std::size_t record_bytes = number(at + 10, 2);
    const std::size_t depth = number(at + 12, 2);
    const std::size_t root = number(at + 16, 8);
    const std::size_t n = number(at + 24, 2);
    if (is_at(root, "BTLF")) sum(root, 6 + n * record_bytes);
    if (!is_at(root, "BTIN")) return;
    // A pointer: address, number of records, in a width that the node's size decides, and of all below.
    constexpr std::size_t kPointerBytes = 8 + 1;
    sum(root, 6 + n * record_bytes + (n + 1) * (kPointerBytes + (depth > 1 ? 2 : 0)));
    if (depth > 1) return;
    for (std::size_t i = 0; i <= n && n < 64; ++i) {
      const std::size_t pointer = root + 6 + n * record_bytes + i * kPointerBytes;
      const std::size_t child = number(pointer, 8);
      if (is_at(child, "BTLF")) sum(child, 6 + number(pointer + 8, 1) * record_bytes);
    }
  }

  /// An index of chunks; of one page.
  void mend_fixed_array(std::size_t at) const {
    sum(at, 24);
    const std::size_t block = number(at + 16, 8);
    if (is_at(block, "FADB")) sum(block, 14 + number(at + 6, 1) * number(at + 8, 8));
  }

  /// An index of chunks in a dataset that may grow; of that, the block of the first elements and addresses.
  void mend_extensible_array(std::size_t at) const {
    sum(at, 68);
    const std::size_t block = number(at + 60, 8);
    const auto log2_of = [](std::uint64_t n) {
      return static_cast<int>(std::bit_width(std::max<std::uint64_t>(n, 1))) - 1;
    };
    const std::size_t pointers = number(at + 10, 1);
    const std::size_t data_blocks = 2 * (std::max<std::size_t>(pointers, 1) - 1);
    const int levels = 1 + static_cast<int>(number(at + 7, 1)) - log2_of(number(at + 9, 1));
    const auto tables = static_cast<std::size_t>(std::max(levels - 2 * log2_of(pointers), 0));
    if (is_at(block, "EAIB")) {
      sum(block, 14 + number(at + 6, 1) * number(at + 8, 1) + 8 * (data_blocks + tables));
    }
  }

  std::span<std::uint8_t> file_;
};

}  // namespace phase0::fuzz
