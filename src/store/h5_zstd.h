#pragma once

namespace phase0::store {

/// Identifier of the zstd filter in the HDF Group's registry.
inline constexpr int kZstdFilter = 32015;

/// Registers the filter with HDF5 for this process, decoding and encoding; option 0 is the level (default 3).
bool register_zstd_filter();

}  // namespace phase0::store
