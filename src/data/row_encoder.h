#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aligned_buffer.h"
#include "data/row_codec.h"

namespace phase0::data {

/// What became of values that were encoded and decoded again. Sums are float64.
struct CodingErrors {
  std::int64_t rows = 0;
  std::int64_t values = 0;
  double largest = 0;       ///< of |value - decoded|
  double sum = 0;           ///< of the same
  double sum_squares = 0;   ///< of the same
  double cosine_sum = 0;    ///< over rows, of the angle between row and decoded row
  double cosine_least = 1;  ///< of a row

  /// Takes in those of rows further on.
  void add(const CodingErrors& later);
};

/// Rows of float32 into what a codec keeps. Immutable, thread-safe.
class RowEncoder {
 public:
  /// A codec of float16 or quantised rows.
  explicit RowEncoder(RowCodec codec);

  const RowCodec& codec() const { return codec_; }
  /// Memory of its tables, of those of the codec and of what they were made from, where every column is a
  /// group.
  static std::int64_t most_table_bytes(Quantization::Kind kind, std::int64_t dim);

  /// The codes of whole rows, whose values are finite and within the codec's range. float16 is rounded to the
  /// nearest, halves to even. Of int8 it is (value - offset) * (1 / scale) in float64 that is rounded so, and
  /// limited to -128 .. 127; 0 where the scale is 0. Of int4 it is how many of the middles between
  /// neighbours of the palette, which ascends, lie below the value: the nearest entry, the lower one of two
  /// as near. Spare bits are 0.
  void encode(const float* rows, std::int64_t n_rows, std::byte* out) const;
  /// What decoding makes of them. `decoded` holds a row.
  CodingErrors errors(const float* rows, std::int64_t n_rows, const std::byte* codes, float* decoded) const;

 private:
  void encode_int8(const float* row, std::int8_t* out) const;
  void encode_int4(const float* row, std::uint8_t* out) const;

  RowCodec codec_;
  core::AlignedBuffer<double> offset_, inverse_;  ///< of int8, by column
  core::AlignedBuffer<float> bounds_;             ///< of int4 [15, dim]: a value above it has a higher code
};

}  // namespace phase0::data
