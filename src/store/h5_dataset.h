#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "store/h5_chunks.h"
#include "store/h5_handles.h"
#include "store/h5_reader.h"
#include "store/h5_source.h"

namespace phase0::store {

/// A dataset of an H5Source, open and checked: layout, filters, and that its storage lies inside the file.
/// Rows of contiguous and chunked datasets are read and decoded beside HDF5, whose own path trusts the file.
class H5StoredDataset {
 public:
  /// Throws an Error of the source's damage kind. `source` must outlive it.
  H5StoredDataset(const H5Source& source, const std::string& name);

  const std::string& name() const { return name_; }
  const DatasetInfo& info() const { return info_; }
  hid_t id() const { return dataset_.get(); }
  hid_t type() const { return type_.get(); }
  std::int64_t elements() const { return elements_; }

  /// Rows of a 1-d or 2-d dataset of a known element type, as stored. Rows must exist.
  void read_rows(std::int64_t first, std::int64_t n, std::byte* out);
  /// Reads and decodes every chunk, so that HDF5 may be trusted with them.
  void verify();

 private:
  [[noreturn]] void fail(const std::string& message) const { source_->fail(name_, message); }
  void read_shape();
  void read_type();
  void read_layout();
  void read_filters(hid_t properties);
  void check_stored(std::uint64_t bytes) const;
  void check_contiguous();
  void check_chunked(hid_t properties);
  void require_storage() const;
  std::int64_t columns() const { return info_.shape.size() == 2 ? info_.shape[1] : 1; }
  void load_chunk(const std::vector<hsize_t>& origin);
  void load_chunk_row(std::int64_t index);
  void read_compact(std::int64_t offset, std::int64_t bytes, std::byte* out);

  const H5Source* source_;
  std::string name_;
  H5Dataset dataset_;
  H5Type type_;
  H5Space space_;
  DatasetInfo info_;
  H5D_layout_t layout_ = H5D_LAYOUT_ERROR;
  std::int64_t element_bytes_ = 0;  ///< in the file
  bool fixed_size_ = false;         ///< numbers and fixed strings: the storage size follows from the shape
  bool variable_ = false;           ///< references to strings: it is no less than they take
  std::int64_t elements_ = 0;
  std::vector<ChunkFilter> filters_;
  std::vector<std::int64_t> chunk_shape_;
  std::int64_t chunk_bytes_ = 0;

  std::vector<std::byte> chunk_;  ///< the chunk that was decoded last
  std::vector<std::byte> spare_;
  std::vector<std::byte> chunk_row_;  ///< rows of one row of chunks, [chunk rows, columns]
  std::int64_t chunk_row_index_ = -1;
};

}  // namespace phase0::store
