#include "sources/npy_array.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/check.h"

namespace phase0::sources {

void check_npy_shape(const NpyHeader& header, std::size_t rank, std::int64_t data_bytes,
                     const ErrorPlace& place) {
  const auto& shape = header.shape;
  if (shape.size() != rank) {
    throw Error(ErrorKind::kData,
                fmt::format("the array has {} dimension(s); {} was expected", shape.size(),
                            rank == 2 ? "[frames, values]" : "[frames]"),
                place);
  }
  std::int64_t expected = store::element_size(header.type);
  bool fits = true;
  for (const std::int64_t size : shape) {
    fits = fits && !__builtin_mul_overflow(expected, size, &expected);
  }
  if (!fits || expected != data_bytes) {
    throw Error(ErrorKind::kData,
                fmt::format("the array is of shape [{}] and takes {} bytes, but {} follow its header",
                            fmt::join(shape, ", "), fits ? std::to_string(expected) : "too many", data_bytes),
                place);
  }
}

void swap_bytes(store::ElementType type, std::byte* values, std::int64_t n) {
  const std::int64_t size = store::element_size(type);
  for (std::int64_t i = 0; i < n; ++i) std::reverse(values + i * size, values + (i + 1) * size);
}

NpyFrames::NpyFrames(const InputFile& file, std::int64_t offset, std::int64_t size, std::size_t rank,
                     const std::string& sequence) {
  const ErrorPlace place{.path = file.path(), .utterance = sequence};
  std::int64_t at = offset;
  const auto next = [&](std::int64_t n, void* out) {
    if (n > offset + size - at) throw Error(ErrorKind::kData, "the array ends within its header", place);
    file.read(at, n, out);
    at += n;
  };
  header_ = read_npy_header(next, place);
  check_npy_shape(header_, rank, size - header_.bytes, place);
  data_ = at;
  n_frames_ = header_.shape[0];
  dim_ = rank == 2 ? header_.shape[1] : 1;
}

void NpyFrames::read(const InputFile& file, std::int64_t first, std::int64_t n, std::byte* out) const {
  PHASE0_CHECK(first >= 0 && n >= 0 && first <= n_frames_ && n <= n_frames_ - first);
  const std::int64_t row_bytes = dim_ * store::element_size(header_.type);
  if (header_.fortran_order && dim_ > 1) {
    read_columns(file, first, n, out);
  } else {
    file.read(data_ + first * row_bytes, n * row_bytes, out);
  }
  if (header_.big_endian) swap_bytes(header_.type, out, n * dim_);
}

/// Column after column, which lie T values apart: as many whole columns at once as there is room for.
void NpyFrames::read_columns(const InputFile& file, std::int64_t first, std::int64_t n,
                             std::byte* out) const {
  if (n == 0) return;
  const std::int64_t size = store::element_size(header_.type);
  const std::int64_t rows = std::min(n, kReadBytes / size);
  const std::int64_t together = rows == n_frames_ ? std::max<std::int64_t>(kReadBytes / (rows * size), 1) : 1;
  std::vector<std::byte> column(static_cast<std::size_t>(rows * size * std::min(together, dim_)));
  for (std::int64_t row = 0; row < n; row += rows) {
    const std::int64_t count = std::min(rows, n - row);
    for (std::int64_t c = 0; c < dim_; c += together) {
      const std::int64_t columns = std::min(together, dim_ - c);
      file.read(data_ + (c * n_frames_ + first + row) * size, columns * count * size, column.data());
      for (std::int64_t k = 0; k < columns; ++k) {
        for (std::int64_t i = 0; i < count; ++i) {
          std::memcpy(out + ((row + i) * dim_ + c + k) * size, column.data() + (k * count + i) * size,
                      static_cast<std::size_t>(size));
        }
      }
    }
  }
}

}  // namespace phase0::sources
