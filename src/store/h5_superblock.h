#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/error.h"
#include "store/posix_file.h"

namespace phase0::store {

/// What stands at the front of an HDF5 file (HDF5 File Format Specification 3.0, section II.A).
struct H5Superblock {
  std::size_t address_bytes = 0;  ///< widths of addresses and of lengths, 4 or 8
  std::size_t length_bytes = 0;
  std::uint64_t base_address = 0;      ///< where addresses count from
  unsigned most_symbols = 8;           ///< in a node of a group's members
  std::vector<std::uint64_t> headers;  ///< of the root group, and of its own extension if it has one
};

/// Whether an address of that width leads anywhere.
inline bool is_defined_address(std::uint64_t address, std::size_t width) {
  return address != (width == 8 ? ~std::uint64_t{0} : 0xffffffffU);
}

/// Empty for a file that is not HDF5. One whose addresses cannot be right is an Error of kind `damage`.
H5Superblock read_superblock(const FileDescriptor& file, std::int64_t file_bytes, const std::string& path,
                             ErrorKind damage);

}  // namespace phase0::store
