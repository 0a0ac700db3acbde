#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sources/input_file.h"
#include "sources/npy_header.h"

namespace phase0::sources {

/// The frames [T, D] (or values [T], with D = 1) of a .npy file or of an uncompressed part of a file.
class NpyFrames {
 public:
  NpyFrames() = default;
  /// Reads the header at `offset`; the array must end where [offset, offset + size) ends, to the byte. `rank`
  /// 2 for frames, 1 for values. Throws Error (kData) that names `sequence`.
  NpyFrames(const InputFile& file, std::int64_t offset, std::int64_t size, std::size_t rank,
            const std::string& sequence);

  std::int64_t n_frames() const { return n_frames_; }
  std::int64_t dim() const { return dim_; }
  store::ElementType type() const { return header_.type; }
  /// Frames [first, first + n) of `file`, which is the one that was given, as little-endian C order.
  void read(const InputFile& file, std::int64_t first, std::int64_t n, std::byte* out) const;

  /// Memory of read.
  static constexpr std::int64_t kReadBytes = std::int64_t{1} << 20;

 private:
  void read_columns(const InputFile& file, std::int64_t first, std::int64_t n, std::byte* out) const;

  NpyHeader header_;
  std::int64_t data_ = 0;  ///< offset of the first value
  std::int64_t n_frames_ = 0;
  std::int64_t dim_ = 0;
};

/// Checks rank and sizes of an array whose values take `data_bytes`. Throws Error (kData) at `place`.
void check_npy_shape(const NpyHeader& header, std::size_t rank, std::int64_t data_bytes,
                     const ErrorPlace& place);

/// Turns the bytes of n values round, each for itself.
void swap_bytes(store::ElementType type, std::byte* values, std::int64_t n);

}  // namespace phase0::sources
