#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace phase0::store {

/// Largest row of chunks (all chunks that hold the same rows) that is read: it stands in memory while it is
/// decoded.
inline constexpr std::int64_t kMaxChunkBytes = std::int64_t{256} << 20;

/// One filter of a dataset's pipeline.
struct ChunkFilter {
  int id = 0;
  std::vector<unsigned> options;
};

/// Whether decode_chunk() knows the filter: shuffle, fletcher32, gzip, zstd.
bool is_known_filter(int id);

/// Undoes the filters of one stored chunk. HDF5 1.10 trusts that a decoded chunk has the size its dataset
/// states and reads past the buffer when a forged one is shorter; here both directions are checked. `skipped`
/// has bit i set when filter i was not applied. The result has exactly `chunk_bytes` bytes and stands in
/// `raw`; `spare` is working space. Returns what is wrong, or an empty string. Thread-safe.
std::string decode_chunk(const std::vector<ChunkFilter>& filters, std::uint32_t skipped,
                         std::int64_t chunk_bytes, std::vector<std::byte>& raw,
                         std::vector<std::byte>& spare);

/// Fletcher's checksum over big-endian 16-bit words, as HDF5 computes it.
std::uint32_t fletcher32(const std::byte* data, std::size_t n);

}  // namespace phase0::store
