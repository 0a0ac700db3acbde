#pragma once

#include <cstdint>

#include "store/h5_fields.h"

namespace phase0::store {

/// Checks a datatype message and takes it from `fields`; the size of a value.
std::uint64_t check_datatype(H5Fields& fields, std::size_t address_bytes, int depth = 0);

/// The same for a dataspace message; the number of values.
std::uint64_t check_dataspace(H5Fields& fields, std::size_t length_bytes);

}  // namespace phase0::store
