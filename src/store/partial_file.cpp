#include "store/partial_file.h"

#include <algorithm>
#include <cstring>

namespace phase0::store {
namespace {

constexpr std::int64_t kComparedBytes = std::int64_t{64} << 10;

bool same_range(const FileDescriptor& a, const FileDescriptor& b, const ByteRange& range,
                const std::string& path) {
  std::vector<std::byte> left(static_cast<std::size_t>(kComparedBytes));
  std::vector<std::byte> right(static_cast<std::size_t>(kComparedBytes));
  for (std::int64_t done = 0; done < range.size; done += kComparedBytes) {
    const std::int64_t n = std::min(kComparedBytes, range.size - done);
    read_exactly(a, range.offset + done, n, left.data(), path, ErrorKind::kStorage);
    read_exactly(b, range.offset + done, n, right.data(), path, ErrorKind::kStorage);
    if (std::memcmp(left.data(), right.data(), static_cast<std::size_t>(n)) != 0) return false;
  }
  return true;
}

}  // namespace

bool same_outside(const FileDescriptor& a, const FileDescriptor& b, std::vector<ByteRange> ranges,
                  const std::string& path) {
  const std::int64_t size = file_size(a, path);
  if (file_size(b, path) != size) return false;
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& x, const ByteRange& y) { return x.offset < y.offset; });
  ranges.push_back({size, 0});
  std::int64_t end = 0;
  for (const ByteRange& range : ranges) {
    if (!same_range(a, b, {end, range.offset - end}, path)) return false;
    end = range.offset + range.size;
  }
  return true;
}

}  // namespace phase0::store
