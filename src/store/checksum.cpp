#include "store/checksum.h"

#include <fcntl.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "store/posix_file.h"

namespace phase0::store {
namespace {

constexpr std::int64_t kPieceBytes = 4096;
constexpr std::int64_t kPieces = 64;

}  // namespace

std::uint32_t checksum(std::uint32_t before, const void* data, std::int64_t size) {
  return static_cast<std::uint32_t>(
      crc32_z(before, static_cast<const Bytef*>(data), static_cast<z_size_t>(size)));
}

std::uint32_t joined_checksum(std::uint32_t first, std::uint32_t second, std::int64_t second_bytes) {
  return static_cast<std::uint32_t>(crc32_combine(first, second, second_bytes));
}

std::uint32_t sampled_checksum(const std::string& path) {
  const FileDescriptor file = open_regular_file(path, ErrorKind::kStorage);
  const std::int64_t size = file_size(file, path);
  const std::int64_t last = std::max<std::int64_t>(size - kPieceBytes, 0);
  // In two steps: the product of a file's size could overflow.
  const auto offset = [last](std::int64_t i) {
    return last / (kPieces + 1) * i + last % (kPieces + 1) * i / (kPieces + 1);
  };
  // All at once, or a cold disk is waited for piece by piece.
  for (std::int64_t i = 0; i <= kPieces + 1; ++i)
    ::posix_fadvise(file.get(), offset(i), kPieceBytes, POSIX_FADV_WILLNEED);
  std::array<std::byte, kPieceBytes> piece;
  std::uint32_t sum = 0;
  for (std::int64_t i = 0; i <= kPieces + 1; ++i) {
    const std::int64_t n = std::min(kPieceBytes, size - offset(i));
    read_exactly(file, offset(i), n, piece.data(), path, ErrorKind::kStorage);
    sum = checksum(sum, piece.data(), n);
  }
  return sum;
}

}  // namespace phase0::store
