#pragma once

#include <cstdint>
#include <string>

/// CRC-32 as zlib has it: tells damage, not malice.
namespace phase0::store {

/// Of bytes that follow those with the checksum `before`; 0 for none.
std::uint32_t checksum(std::uint32_t before, const void* data, std::int64_t size);
/// Of two parts of which the second has `second_bytes` bytes.
std::uint32_t joined_checksum(std::uint32_t first, std::uint32_t second, std::int64_t second_bytes);

/// Of a file's first and last 4 KiB and 64 evenly spread pieces of the same size between: a file that was
/// replaced is told apart in nearly all cases, in milliseconds whatever its size. Throws Error (kStorage).
std::uint32_t sampled_checksum(const std::string& path);

}  // namespace phase0::store
