#pragma once

#include <optional>

#include "store/element_type.h"
#include "store/h5_handles.h"

namespace phase0::store {

/// The HDF5 type (little-endian) of an element type.
H5Type h5_type(ElementType type);
/// The element type that is stored in exactly this way, if any.
std::optional<ElementType> element_type_of(hid_t type);

/// Integers of 1, 2, 4 or 8 whole bytes, either byte order: what may be converted by HDF5.
bool is_plain_integer(hid_t type);
/// IEEE floats of 2, 4 or 8 bytes; 2 in little-endian order only.
bool is_plain_float(hid_t type);

}  // namespace phase0::store
