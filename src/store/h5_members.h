#pragma once

#include <string_view>

#include "store/h5_bytes.h"
#include "store/h5_messages.h"

namespace phase0::store {

/// Checks the members of a group that has more than fit its header in the newer formats: links in a fractal
/// heap, found through an index by name (HDF5 File Format Specification 3.0, sections III.A.2 and III.G).
/// Every part keeps to the file and to what the parts above state, none is led to twice, and every link is
/// whole. Checksums are left to HDF5. Throws Error that names `object`, the group.
void check_members(H5Bytes& file, std::string_view object, const H5Parts::Members& members);

}  // namespace phase0::store
