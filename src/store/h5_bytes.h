#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/h5_fields.h"
#include "store/h5_superblock.h"
#include "store/posix_file.h"

namespace phase0::store {

/// Ranges of an HDF5 file's metadata by their addresses, read past HDF5. All that is given must outlive it.
class H5Bytes {
 public:
  H5Bytes(const FileDescriptor& file, std::int64_t file_bytes, const H5Superblock& superblock,
          const std::string& path, ErrorKind damage)
      : file_(file),
        bytes_(static_cast<std::uint64_t>(file_bytes) - superblock.base_address),
        unread_(bytes_),
        superblock_(superblock),
        path_(path),
        damage_(damage) {}

  const H5Superblock& superblock() const { return superblock_; }
  H5Fields::Subject subject(std::string_view object) const { return {path_, object, damage_}; }
  /// How many bytes there are from `address` on.
  std::uint64_t left(std::uint64_t address) const { return address < bytes_ ? bytes_ - address : 0; }
  /// Throws Error of the kind `damage` that names `object` when the range leaves the file or is too large, or
  /// when with it more was read than the file has: in a sound file no two parts share bytes, while a forged
  /// one could have the same bytes read again and again, and then decoded by HDF5.
  std::vector<std::byte> read(std::string_view object, std::uint64_t address, std::uint64_t n);
  /// The same for a few bytes that will be read again.
  std::vector<std::byte> peek(std::string_view object, std::uint64_t address, std::uint64_t n) const;

  /// No part of metadata that is read at once is larger.
  static constexpr std::uint64_t kMostBytes = std::uint64_t{16} << 20;
  /// Of the checksums in the newer structures.
  static constexpr std::size_t kChecksumBytes = 4;

 private:
  const FileDescriptor& file_;
  std::uint64_t bytes_;
  std::uint64_t unread_;
  const H5Superblock& superblock_;
  const std::string& path_;
  ErrorKind damage_;
};

}  // namespace phase0::store
