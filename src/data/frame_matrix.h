#pragma once

#include <cstdint>

#include "store/mapped.h"

namespace phase0::data {

/// The frames of all utterances, [T, D] float32 or float16, read-only. Cheap to copy; thread-safe.
class FrameMatrix {
 public:
  FrameMatrix() = default;
  explicit FrameMatrix(store::MappedDataset frames) : frames_(std::move(frames)) {}

  std::int64_t rows() const { return frames_.rows(); }
  std::int64_t dim() const { return frames_.columns(); }
  std::int64_t row_bytes() const { return frames_.row_bytes(); }
  store::ElementType type() const { return frames_.type(); }

  /// Rows [first, first + n) as float32 into out [n, D].
  void load(std::int64_t first, std::int64_t n, float* out) const;
  /// Hints, as store::MappedRegion's.
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const {
    frames_.read_ahead(first, n, limit_bytes);
  }
  void drop_ahead() const { frames_.drop_ahead(); }

 private:
  store::MappedDataset frames_;
};

}  // namespace phase0::data
