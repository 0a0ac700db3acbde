#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "store/h5_fields.h"
#include "store/h5_superblock.h"

namespace phase0::store {

/// The head of a message in an object's header.
struct H5Message {
  static constexpr unsigned kContinuation = 0x10;
  unsigned type = 0;
  unsigned flags = 0;
};

/// What a header's messages lead to.
struct H5Parts {
  /// An index of version 1: of a group's members, whose names are in a heap, or of a dataset's chunks.
  struct Tree {
    std::uint64_t address = 0;
    std::size_t key_bytes = 0;
    bool of_chunks = false;
    std::uint64_t heap = 0;
    std::uint64_t chunk_bytes = 0;  ///< unfiltered
    bool filtered = false;
  };
  /// The members of a group of the newer formats that has more than fit its header.
  struct Members {
    std::uint64_t heap = 0;
    std::uint64_t index = 0;  ///< by name
  };
  std::vector<std::uint64_t> headers;  ///< of types that are kept elsewhere in the file
  std::vector<Tree> trees;
  std::vector<Members> members;
  bool filtered = false;
};

/// Checks that a message's counts, lengths and texts keep to its `body`, and that sizes which belong together
/// agree, and adds to `parts`. Messages of types that HDF5 does not know either are let through.
void check_message(const H5Message& message, H5Fields body, const H5Superblock& superblock, H5Parts& parts);

/// The name in the body of a link that check_message has let through.
std::span<const std::byte> link_name(std::span<const std::byte> link);

}  // namespace phase0::store
