#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace phase0::store {

/// The hash that HDF5 sorts names by: Bob Jenkins's lookup3 (2006, in the public domain), begun with 0.
std::uint32_t lookup3(std::span<const std::byte> bytes);

}  // namespace phase0::store
