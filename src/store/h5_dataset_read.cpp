#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/checked.h"
#include "store/h5_dataset.h"

namespace phase0::store {

void H5StoredDataset::require_storage() const {
  if (layout_ == H5D_CONTIGUOUS && info_.bytes > 0 && info_.offset < 0)
    fail("was never written: it has no storage");
}

void H5StoredDataset::read_rows(std::int64_t first, std::int64_t n, std::byte* out) {
  PHASE0_CHECK(info_.type.has_value() && !info_.shape.empty() && info_.shape.size() <= 2);
  PHASE0_CHECK(first >= 0 && n >= 0 && first <= info_.shape[0] && n <= info_.shape[0] - first);
  const std::int64_t row_bytes = columns() * element_bytes_;
  if (n == 0 || row_bytes == 0) return;
  require_storage();
  if (layout_ == H5D_CONTIGUOUS) {
    return read_exactly(source_->descriptor(), info_.offset + first * row_bytes, n * row_bytes, out,
                        source_->path(), source_->damage());
  }
  if (layout_ == H5D_COMPACT) return read_compact(first * row_bytes, n * row_bytes, out);
  for (std::int64_t row = first; row < first + n;) {
    const std::int64_t index = row / info_.chunk_rows;
    const std::int64_t begin = index * info_.chunk_rows;
    const std::int64_t end = std::min(begin + info_.chunk_rows, first + n);
    load_chunk_row(index);
    std::memcpy(out + (row - first) * row_bytes, chunk_row_.data() + (row - begin) * row_bytes,
                static_cast<std::size_t>((end - row) * row_bytes));
    row = end;
  }
}

void H5StoredDataset::read_compact(std::int64_t offset, std::int64_t bytes, std::byte* out) {
  std::vector<std::byte> all(static_cast<std::size_t>(info_.bytes));
  if (H5Dread(id(), type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, all.data()) < 0)
    fail("cannot be read" + h5_reason());
  std::memcpy(out, all.data() + offset, static_cast<std::size_t>(bytes));
}

void H5StoredDataset::load_chunk(const std::vector<hsize_t>& origin) {
  hsize_t stored = 0;
  const auto at = fmt::format("its chunk at row {}", origin[0]);
  if (H5Dget_chunk_storage_size(id(), origin.data(), &stored) < 0 || stored == 0) {
    fail(at + " is not stored" + h5_reason());
  }
  // No filter that is known makes a chunk much larger than it was.
  const std::int64_t limit = chunk_bytes_ + chunk_bytes_ / 8 + 4096;
  if (stored > static_cast<hsize_t>(limit))
    fail(fmt::format("{} takes {} bytes for {}", at, stored, chunk_bytes_));
  chunk_.resize(stored);
  std::uint32_t skipped = 0;
  if (H5Dread_chunk(id(), H5P_DEFAULT, origin.data(), &skipped, chunk_.data()) < 0) {
    fail(at + " cannot be read" + h5_reason());
  }
  const std::string problem = decode_chunk(filters_, skipped, chunk_bytes_, chunk_, spare_);
  if (!problem.empty()) fail(at + ": " + problem);
}

void H5StoredDataset::load_chunk_row(std::int64_t index) {
  if (index == chunk_row_index_) return;
  chunk_row_index_ = -1;
  const std::int64_t begin = index * info_.chunk_rows;
  const std::int64_t rows = std::min(info_.chunk_rows, info_.shape[0] - begin);
  const std::int64_t width = columns();
  const std::int64_t chunk_width = chunk_shape_.size() == 2 ? chunk_shape_[1] : 1;
  if (width == chunk_width) {
    load_chunk(chunk_shape_.size() == 2 ? std::vector<hsize_t>{static_cast<hsize_t>(begin), 0}
                                        : std::vector<hsize_t>{static_cast<hsize_t>(begin)});
    chunk_row_.swap(chunk_);
  } else {
    chunk_row_.resize(static_cast<std::size_t>(rows * width * element_bytes_));
    for (std::int64_t column = 0; column < width; column += chunk_width) {
      load_chunk({static_cast<hsize_t>(begin), static_cast<hsize_t>(column)});
      const std::int64_t n = std::min(chunk_width, width - column);
      for (std::int64_t r = 0; r < rows; ++r) {
        std::memcpy(chunk_row_.data() + (r * width + column) * element_bytes_,
                    chunk_.data() + r * chunk_width * element_bytes_,
                    static_cast<std::size_t>(n * element_bytes_));
      }
    }
  }
  chunk_row_index_ = index;
}

void H5StoredDataset::verify() {
  require_storage();
  if (layout_ != H5D_CHUNKED || elements_ == 0) return;
  std::vector<hsize_t> origin(chunk_shape_.size(), 0);
  while (true) {
    load_chunk(origin);
    std::size_t d = origin.size();
    while (d-- > 0) {
      origin[d] += static_cast<hsize_t>(chunk_shape_[d]);
      if (origin[d] < static_cast<hsize_t>(info_.shape[d])) break;
      origin[d] = 0;
      if (d == 0) return;
    }
  }
}

}  // namespace phase0::store
