#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "store/h5_source.h"

namespace phase0::store {

/// Appends the variable-length strings behind references of source.reference_bytes() bytes each, out of a
/// file's global heap (HDF5 File Format Specification 3.0, section III.E). HDF5 1.10 checks neither the
/// object's index nor its length nor the collection's inner sizes, so that one changed byte lets it read or
/// write outside its buffers; here all of them are checked. Each collection is read once, whatever the order
/// of the references. `room` is the text, in bytes, that may be read, less what is. Throws an Error that
/// names `object`.
void read_heap_strings(const H5Source& source, const std::string& object,
                       std::span<const std::byte> references, std::int64_t& room,
                       std::vector<std::string>& out);

/// Registers the conversion from variable-length strings to opaque values that leaves the stored reference as
/// it is: the way to the references of attributes and compact datasets.
bool register_reference_conversion();

}  // namespace phase0::store
