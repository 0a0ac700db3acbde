#pragma once

#include <cstdint>
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

/// Checks that a message's counts, lengths and texts keep to its `body`, and that sizes which belong together
/// agree. Types that are kept elsewhere in the file are added to `headers` by the address of theirs. Messages
/// of types that HDF5 does not know either are let through.
void check_message(const H5Message& message, H5Fields body, const H5Superblock& superblock,
                   std::vector<std::uint64_t>& headers);

}  // namespace phase0::store
