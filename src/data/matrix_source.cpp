// Sources of rows that are stored as they are, and parts of other sources.
#include <algorithm>
#include <cstring>
#include <functional>

#include "core/check.h"
#include "data/feature_source.h"
#include "data/wanted_rows.h"
#include "store/read_ahead.h"

namespace phase0::data {
namespace {

class MatrixSource final : public FeatureSource {
 public:
  explicit MatrixSource(store::MappedDataset matrix)
      : FeatureSource(matrix.rows(), 1, matrix.columns()), matrix_(std::move(matrix)) {
    PHASE0_CHECK(matrix_.type() == store::ElementType::kFloat32);
  }

  void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const override {
    PHASE0_CHECK(first >= 0 && first + n <= n_rows());
    begin_matrix(first, n, n, out);
    matrix_.read(first, n, out.frames.data());
  }
  void load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                 bool were_read_ahead, FeatureBlock& out) const override {
    if (were_read_ahead) return FeatureSource::load_rows(first, n, wanted, were_read_ahead, out);
    PHASE0_CHECK(first >= 0 && first + n <= n_rows());
    begin_matrix(first, n, std::ssize(wanted), out);
    std::int64_t packed = 0;
    const auto nearby = nearby_rows(matrix_.row_bytes());
    for_each_piece(wanted, std::identity(), nearby, [&](std::span<const std::int32_t> piece) {
      // Read to where the first belongs, the others then move up: no row stands before its place.
      const std::int64_t from = piece.front();
      matrix_.read(first + from, piece.back() - from + 1, out.frames.data() + packed * frame_dim());
      pack_rows(piece, from, frame_dim(), out.frames.data() + packed * frame_dim());
      packed += std::ssize(piece);
    });
  }
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const override {
    matrix_.read_ahead(first, n, limit_bytes);
  }
  void drop_ahead() const override { matrix_.drop_ahead(); }
  std::int64_t block_bytes() const override { return matrix_shape(n_rows(), frame_dim()).block_bytes; }
  std::int64_t ahead_bytes() const override { return matrix_shape(n_rows(), frame_dim()).ahead_bytes; }

 private:
  store::MappedDataset matrix_;
};

class MemorySource final : public FeatureSource {
 public:
  MemorySource(core::AlignedBuffer<float> matrix, std::int64_t columns, core::Reservation reserved)
      : FeatureSource(matrix.size() / columns, 1, columns),
        matrix_(std::move(matrix)),
        reserved_(std::move(reserved)) {}

  void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const override {
    PHASE0_CHECK(first >= 0 && first + n <= n_rows());
    begin_matrix(first, 0, n, out);
    out.view = row(first);
  }
  void load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                 bool /*were_read_ahead*/, FeatureBlock& out) const override {
    if (std::ssize(wanted) == n) return load(first, n, out);
    PHASE0_CHECK(first >= 0 && first + n <= n_rows());
    begin_matrix(first, n, std::ssize(wanted), out);
    float* to = out.frames.data();
    for (const std::int32_t w : wanted) {
      std::memcpy(to, row(first + w), as_size(frame_dim()) * sizeof(float));
      to += frame_dim();
    }
  }
  bool in_memory() const override { return true; }
  std::int64_t block_bytes() const override { return matrix_shape(n_rows(), frame_dim()).block_bytes; }
  std::int64_t ahead_bytes() const override { return matrix_shape(n_rows(), frame_dim()).ahead_bytes; }

 private:
  const float* row(std::int64_t r) const { return matrix_.data() + r * frame_dim(); }

  core::AlignedBuffer<float> matrix_;
  core::Reservation reserved_;
};

class SubsetSource final : public FeatureSource {
 public:
  using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;
  SubsetSource(const FeatureSource& base, Ranges ranges, std::int64_t n_rows)
      : FeatureSource(n_rows, 1, base.frame_dim()), base_(base), ranges_(std::move(ranges)) {
    PHASE0_CHECK(base.window() == 1);
    starts_.reserve(ranges_.size());
    std::int64_t start = 0;
    for (const auto& [begin, end] : ranges_) {
      starts_.push_back(start);
      start += end - begin;
    }
  }

  void load(std::int64_t first, std::int64_t n, FeatureBlock& out) const override {
    begin_matrix(first, n, n, out);
    FeatureBlock piece;
    for_each_range(first, n, [&](std::int64_t row, std::int64_t base_row, std::int64_t count) {
      base_.load(base_row, count, piece);
      copy(piece, row - first, out);
    });
  }
  void load_rows(std::int64_t first, std::int64_t n, std::span<const std::int32_t> wanted,
                 bool were_read_ahead, FeatureBlock& out) const override {
    begin_matrix(first, n, std::ssize(wanted), out);
    FeatureBlock piece;
    std::vector<std::int32_t> in_base;
    std::int64_t packed = 0;
    for_each_range(first, n, [&](std::int64_t row, std::int64_t base_row, std::int64_t count) {
      const auto skip = static_cast<std::int32_t>(row - first);
      in_base.clear();
      for (std::int64_t w = packed; w < std::ssize(wanted) && wanted[as_size(w)] < skip + count; ++w) {
        in_base.push_back(wanted[as_size(w)] - skip);
      }
      if (in_base.empty() && !were_read_ahead) return;
      base_.load_rows(base_row, count, in_base, were_read_ahead, piece);
      copy(piece, packed, out);
      packed += std::ssize(in_base);
    });
  }
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const override {
    for_each_range(first, n, [&](std::int64_t, std::int64_t row, std::int64_t count) {
      base_.read_ahead(row, count, limit_bytes);
    });
  }
  void drop_ahead() const override { base_.drop_ahead(); }
  std::int64_t block_bytes() const override {
    return base_.block_bytes() + block_rows() * (frame_dim() + 1) * kFloatBytes;  // with their numbers
  }
  std::int64_t ahead_bytes() const override { return base_.ahead_bytes(); }
  bool computed() const override { return base_.computed(); }

 private:
  /// The piece's rows to where they begin in `out`.
  void copy(const FeatureBlock& piece, std::int64_t to, FeatureBlock& out) const {
    std::memcpy(out.frames.data() + to * frame_dim(), piece.matrix(),
                as_size(piece.n_rows * frame_dim()) * sizeof(float));
  }
  template <typename Visit>
  void for_each_range(std::int64_t first, std::int64_t n, const Visit& visit) const {
    if (n <= 0) return;
    PHASE0_CHECK(first >= 0 && first + n <= n_rows());
    auto range = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), first) -
                                          starts_.begin() - 1);
    for (; n > 0; ++range) {
      const std::int64_t skip = first - starts_[range];
      const std::int64_t count = std::min(n, ranges_[range].second - ranges_[range].first - skip);
      visit(first, ranges_[range].first + skip, count);
      first += count;
      n -= count;
    }
  }

  const FeatureSource& base_;
  Ranges ranges_;
  std::vector<std::int64_t> starts_;
};

}  // namespace

SourceShape matrix_shape(std::int64_t n_rows, std::int64_t columns) {
  const std::int64_t rows = canonical_block_rows(columns);
  const std::int64_t bytes = std::min(rows, n_rows) * columns * kFloatBytes;
  return {n_rows, 1, columns, rows, bytes, store::ReadAhead::held_bytes(bytes), false};
}

std::unique_ptr<FeatureSource> matrix_source(store::MappedDataset matrix) {
  return std::make_unique<MatrixSource>(std::move(matrix));
}

std::unique_ptr<FeatureSource> memory_source(core::AlignedBuffer<float> matrix, std::int64_t columns,
                                             core::Reservation reserved) {
  return std::make_unique<MemorySource>(std::move(matrix), columns, std::move(reserved));
}

std::unique_ptr<FeatureSource> subset_source(const FeatureSource& base,
                                             std::vector<std::pair<std::int64_t, std::int64_t>> ranges) {
  std::int64_t n_rows = 0;
  std::int64_t previous = 0;
  for (const auto& [begin, end] : ranges) {
    PHASE0_CHECK(begin >= previous && end > begin && end <= base.n_rows());
    n_rows += end - begin;
    previous = end;
  }
  return std::make_unique<SubsetSource>(base, std::move(ranges), n_rows);
}

}  // namespace phase0::data
