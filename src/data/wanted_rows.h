#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace phase0::data {

/// Copied from the page cache in the time of a call for a piece of its own.
inline constexpr std::int64_t kNearbyBytes = 4096;

inline std::size_t as_size(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

/// Rows between two wanted ones that cost no more to read than a read of its own for the second.
inline std::int64_t nearby_rows(std::int64_t row_bytes) {
  return kNearbyBytes / row_bytes;
}

/// Calls `visit(piece)` for pieces of the wanted, ascending by their `place`, whose neighbours have at most
/// `nearby` rows between them.
template <typename T, typename Place, typename Visit>
void for_each_piece(std::span<const T> wanted, const Place& place, std::int64_t nearby, const Visit& visit) {
  for (std::size_t begin = 0; begin < wanted.size();) {
    std::size_t end = begin + 1;
    while (end < wanted.size() && place(wanted[end]) - place(wanted[end - 1]) - 1 <= nearby) ++end;
    visit(wanted.subspan(begin, end - begin));
    begin = end;
  }
}

/// Moves the wanted rows of a matrix, whose first row has the number `first`, to its beginning.
inline void pack_rows(std::span<const std::int32_t> wanted, std::int64_t first, std::int64_t dim,
                      float* matrix) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::int64_t from = wanted[i] - first;
    if (from == static_cast<std::int64_t>(i)) continue;
    std::memmove(matrix + static_cast<std::int64_t>(i) * dim, matrix + from * dim,
                 as_size(dim) * sizeof(float));
  }
}

}  // namespace phase0::data
