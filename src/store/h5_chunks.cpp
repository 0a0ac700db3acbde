#include "store/h5_chunks.h"

#include <fmt/format.h>
#include <hdf5.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

#include "store/h5_zstd.h"

namespace phase0::store {
namespace {

using Bytes = std::vector<std::byte>;

std::string inflate_chunk(Bytes& raw, Bytes& spare, std::size_t limit) {
  spare.resize(limit);
  uLongf n = limit;
  const int result = ::uncompress(reinterpret_cast<Bytef*>(spare.data()), &n,
                                  reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  if (result == Z_BUF_ERROR) return "its gzip data is cut short or larger than a chunk";
  if (result != Z_OK) return "its gzip data is damaged";
  spare.resize(n);
  raw.swap(spare);
  return "";
}

std::string unzstd_chunk(Bytes& raw, Bytes& spare, std::size_t limit) {
  spare.resize(limit);
  const std::size_t n = ZSTD_decompress(spare.data(), spare.size(), raw.data(), raw.size());
  if (ZSTD_isError(n)) return fmt::format("its zstd data is damaged: {}", ZSTD_getErrorName(n));
  spare.resize(n);
  raw.swap(spare);
  return "";
}

std::string unshuffle(Bytes& raw, Bytes& spare, const ChunkFilter& filter) {
  const std::size_t width = filter.options.empty() ? 0 : filter.options[0];
  if (width == 0 || width > raw.size()) return "its shuffle filter has an impossible element size";
  const std::size_t n = raw.size() / width;
  spare.resize(raw.size());
  for (std::size_t b = 0; b < width; ++b) {
    const std::byte* from = raw.data() + b * n;
    for (std::size_t i = 0; i < n; ++i) spare[i * width + b] = from[i];
  }
  std::copy(raw.begin() + static_cast<std::ptrdiff_t>(n * width), raw.end(),
            spare.begin() + static_cast<std::ptrdiff_t>(n * width));
  raw.swap(spare);
  return "";
}

std::string check_fletcher32(Bytes& raw) {
  std::uint32_t stored = 0;
  if (raw.size() < sizeof(stored)) return "its checksum is missing";
  const std::size_t n = raw.size() - sizeof(stored);
  std::memcpy(&stored, raw.data() + n, sizeof(stored));
  const std::uint32_t computed = fletcher32(raw.data(), n);
  // Libraries before 1.6.3 stored the bytes of each half swapped; HDF5 accepts both.
  const std::uint32_t swapped = ((computed & 0x00ff00ffU) << 8) | ((computed >> 8) & 0x00ff00ffU);
  if (stored != computed && stored != swapped) return "its checksum is wrong";
  raw.resize(n);
  return "";
}

}  // namespace

bool is_known_filter(int id) {
  return id == H5Z_FILTER_SHUFFLE || id == H5Z_FILTER_FLETCHER32 || id == H5Z_FILTER_DEFLATE ||
         id == kZstdFilter;
}

std::string decode_chunk(const std::vector<ChunkFilter>& filters, std::uint32_t skipped,
                         std::int64_t chunk_bytes, std::vector<std::byte>& raw,
                         std::vector<std::byte>& spare) {
  // Between two filters a chunk may be longer by a checksum each.
  const auto limit = static_cast<std::size_t>(chunk_bytes) + sizeof(std::uint32_t) * filters.size();
  for (std::size_t i = filters.size(); i-- > 0;) {
    if ((skipped >> i & 1U) != 0) continue;
    std::string problem;
    if (filters[i].id == H5Z_FILTER_DEFLATE) problem = inflate_chunk(raw, spare, limit);
    if (filters[i].id == kZstdFilter) problem = unzstd_chunk(raw, spare, limit);
    if (filters[i].id == H5Z_FILTER_SHUFFLE) problem = unshuffle(raw, spare, filters[i]);
    if (filters[i].id == H5Z_FILTER_FLETCHER32) problem = check_fletcher32(raw);
    if (!problem.empty()) return problem;
  }
  if (static_cast<std::int64_t>(raw.size()) == chunk_bytes) return "";
  return fmt::format("it holds {} bytes where {} are stated", raw.size(), chunk_bytes);
}

std::uint32_t fletcher32(const std::byte* data, std::size_t n) {
  std::uint32_t sum1 = 0;
  std::uint32_t sum2 = 0;
  const auto fold = [](std::uint32_t x) { return (x & 0xffffU) + (x >> 16); };
  const auto at = [data](std::size_t i) { return std::to_integer<std::uint32_t>(data[i]); };
  const std::size_t words = n / 2;
  constexpr std::size_t kUnfolded = 360;  // additions before a 32-bit sum of sums could overflow
  for (std::size_t begin = 0; begin < words; begin += kUnfolded) {
    const std::size_t end = std::min(begin + kUnfolded, words);
    for (std::size_t w = begin; w < end; ++w) {
      sum1 += at(2 * w) << 8 | at(2 * w + 1);
      sum2 += sum1;
    }
    sum1 = fold(sum1);
    sum2 = fold(sum2);
  }
  if (n % 2 != 0) {
    sum1 = fold(sum1 + (at(n - 1) << 8));
    sum2 = fold(sum2 + sum1);
  }
  return fold(sum2) << 16 | fold(sum1);
}

}  // namespace phase0::store
