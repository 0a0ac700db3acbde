#pragma once

#include <cstdint>

#include "data/row_codec.h"
#include "store/mapped.h"

namespace phase0::data {

/// The frames of all utterances, [T, D] float32, float16 or quantised, read-only. Cheap to copy; thread-safe.
class FrameMatrix {
 public:
  FrameMatrix() = default;
  /// Float frames.
  explicit FrameMatrix(store::MappedDataset frames)
      : FrameMatrix(frames, RowCodec(frames.type(), frames.columns())) {}
  /// Frames as `codec` keeps them.
  FrameMatrix(store::MappedDataset frames, RowCodec codec)
      : frames_(std::move(frames)), codec_(std::move(codec)) {
    PHASE0_CHECK(frames_.type() == codec_.stored_type() && frames_.columns() == codec_.stored_columns());
    PHASE0_CHECK(frames_.type() != store::ElementType::kFloat64);
  }

  std::int64_t rows() const { return frames_.rows(); }
  std::int64_t dim() const { return codec_.dim(); }
  std::int64_t row_bytes() const { return frames_.row_bytes(); }
  const RowCodec& codec() const { return codec_; }

  /// Rows [first, first + n) as float32 into out [n, D].
  void load(std::int64_t first, std::int64_t n, float* out) const;
  /// Hints, as store::MappedRegion's.
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const {
    frames_.read_ahead(first, n, limit_bytes);
  }
  void drop_ahead() const { frames_.drop_ahead(); }

 private:
  void decode(const std::byte* stored, std::int64_t n, float* out) const;

  store::MappedDataset frames_;
  RowCodec codec_;
};

}  // namespace phase0::data
