#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/posix_file.h"

namespace phase0::store {

struct ByteRange {
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

/// Whether two files have the same size and the same bytes outside `ranges`, which do not overlap. Throws
/// Error (kStorage) when one cannot be read.
bool same_outside(const FileDescriptor& a, const FileDescriptor& b, std::vector<ByteRange> ranges,
                  const std::string& path);

}  // namespace phase0::store
