#include "store/h5_dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "core/checked.h"
#include "core/memory.h"
#include "store/h5_types.h"

namespace phase0::store {
namespace {

constexpr unsigned kMaxFilters = 8;
constexpr int kMaxRank = 8;

}  // namespace

H5StoredDataset::H5StoredDataset(const H5Source& source, const std::string& name)
    : source_(&source), name_(name) {
  if (!source.exists(name)) fail("is missing");
  if (source.kind(name) != H5O_TYPE_DATASET) fail("is not a dataset");
  const auto place = source.locate(name);
  dataset_ = H5Dataset(H5Dopen2(place->group, place->name.c_str(), H5P_DEFAULT));
  if (!dataset_) fail("cannot be opened" + h5_reason());
  read_type();
  read_shape();
  read_layout();
}

void H5StoredDataset::read_type() {
  type_ = H5Type(H5Dget_type(id()));
  if (!type_) fail("its type cannot be read" + h5_reason());
  info_.is_string = H5Tget_class(type()) == H5T_STRING;
  info_.type = element_type_of(type());
  variable_ = info_.is_string && H5Tis_variable_str(type()) != 0;
  fixed_size_ =
      info_.type || is_plain_integer(type()) || is_plain_float(type()) || (info_.is_string && !variable_);
  element_bytes_ = static_cast<std::int64_t>(variable_ ? source_->reference_bytes() : H5Tget_size(type()));
  if (element_bytes_ <= 0) fail("its type has no size");
}

void H5StoredDataset::read_shape() {
  space_ = H5Space(H5Dget_space(id()));
  if (!space_) fail("its shape cannot be read" + h5_reason());
  if (H5Sget_simple_extent_type(space_.get()) == H5S_NULL) fail("is empty (a null data space)");
  const int rank = H5Sget_simple_extent_ndims(space_.get());
  if (rank < 0 || rank > kMaxRank) fail(fmt::format("has {} dimensions", rank));
  std::vector<hsize_t> extent(static_cast<std::size_t>(rank));
  if (H5Sget_simple_extent_dims(space_.get(), extent.data(), nullptr) < 0) fail("its shape cannot be read");
  elements_ = 1;
  for (const hsize_t size : extent) {
    if (size > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max()))
      fail("its shape is out of range");
    info_.shape.push_back(static_cast<std::int64_t>(size));
    // Multiplied as if no dimension were 0, so that no partial product can be out of range later.
    elements_ = core::checked_mul(elements_, std::max<std::int64_t>(info_.shape.back(), 1),
                                  source_->path() + ": " + name_ + ": its shape", source_->damage());
  }
  info_.bytes = core::checked_mul(elements_, element_bytes_, source_->path() + ": " + name_ + ": its size",
                                  source_->damage());
  if (std::find(info_.shape.begin(), info_.shape.end(), 0) != info_.shape.end()) elements_ = info_.bytes = 0;
}

void H5StoredDataset::read_layout() {
  const H5Properties properties(H5Dget_create_plist(id()));
  if (!properties) fail("its layout cannot be read" + h5_reason());
  layout_ = H5Pget_layout(properties.get());
  if (layout_ == H5D_VIRTUAL) fail("is a virtual dataset; only data inside the file is read");
  if (H5Pget_external_count(properties.get()) != 0)
    fail("has external raw storage; only data inside the file is read");
  read_filters(properties.get());
  if (layout_ == H5D_CONTIGUOUS) return check_contiguous();
  if (layout_ == H5D_CHUNKED) return check_chunked(properties.get());
  if (layout_ != H5D_COMPACT) fail("has a layout that is not known");
  check_stored(H5Dget_storage_size(id()));
}

/// HDF5 reads behind what a compact dataset holds. Copied from a file of wider addresses, references keep the
/// room that they had there.
void H5StoredDataset::check_stored(std::uint64_t bytes) const {
  const auto needed = static_cast<std::uint64_t>(info_.bytes);
  if ((fixed_size_ && bytes != needed) || (variable_ && bytes < needed))
    fail("its stored size disagrees with its shape");
}

void H5StoredDataset::read_filters(hid_t properties) {
  const int n = H5Pget_nfilters(properties);
  if (n < 0) fail("its filters cannot be read" + h5_reason());
  if (n > static_cast<int>(kMaxFilters)) fail(fmt::format("has {} filters, at most {} work", n, kMaxFilters));
  for (unsigned i = 0; i < static_cast<unsigned>(n); ++i) {
    unsigned flags = 0;
    unsigned configuration = 0;
    unsigned options[16] = {};
    std::size_t n_options = std::size(options);
    char name[64] = {};
    const int filter =
        H5Pget_filter2(properties, i, &flags, &n_options, options, sizeof(name), name, &configuration);
    if (filter < 0) fail("its filters cannot be read" + h5_reason());
    if (!is_known_filter(filter)) {
      name[sizeof(name) - 1] = '\0';
      fail(fmt::format("filter {} ({}) is not supported; gzip, zstd, shuffle and fletcher32 are", filter,
                       name));
    }
    filters_.push_back({filter, {options, options + std::min(n_options, std::size(options))}});
  }
}

void H5StoredDataset::check_contiguous() {
  info_.contiguous = filters_.empty();
  if (!filters_.empty()) fail("has filters without chunks");
  const haddr_t offset = H5Dget_offset(id());
  if (offset == HADDR_UNDEF) return;
  const hsize_t stored = H5Dget_storage_size(id());
  check_stored(stored);
  const auto file_bytes = static_cast<haddr_t>(source_->file_bytes());
  if (offset > file_bytes || stored > file_bytes - offset) {
    fail(fmt::format("its {} bytes at offset {} end behind the file's {} bytes", stored, offset, file_bytes));
  }
  info_.offset = static_cast<std::int64_t>(offset);
}

void H5StoredDataset::check_chunked(hid_t properties) {
  const auto rank = info_.shape.size();
  std::vector<hsize_t> chunk(rank);
  if (rank == 0 || H5Pget_chunk(properties, static_cast<int>(rank), chunk.data()) != static_cast<int>(rank)) {
    fail("its chunk shape cannot be read");
  }
  std::int64_t n_chunks = 1;
  std::int64_t chunks_per_row = 1;
  chunk_bytes_ = element_bytes_;
  for (std::size_t d = 0; d < rank; ++d) {
    if (chunk[d] == 0 || chunk[d] > std::numeric_limits<std::uint32_t>::max())
      fail("its chunk shape is out of range");
    chunk_shape_.push_back(static_cast<std::int64_t>(chunk[d]));
    const std::int64_t count =
        info_.shape[d] / chunk_shape_[d] + (info_.shape[d] % chunk_shape_[d] != 0 ? 1 : 0);
    n_chunks = core::checked_mul(n_chunks, count, name_ + ": number of chunks", source_->damage());
    if (d > 0)
      chunks_per_row = core::checked_mul(chunks_per_row, count, name_ + ": chunks", source_->damage());
    chunk_bytes_ =
        core::checked_mul(chunk_bytes_, chunk_shape_[d], name_ + ": chunk size", source_->damage());
  }
  info_.chunk_rows = chunk_shape_[0];
  info_.chunk_row_bytes =
      core::checked_mul(chunk_bytes_, chunks_per_row, name_ + ": a row of chunks", source_->damage());
  if (info_.chunk_row_bytes > kMaxChunkBytes) {
    fail(fmt::format("its chunks [{}] take {} in a row, at most {} can be read: store it in smaller chunks",
                     fmt::join(chunk_shape_, ", "), core::format_bytes(info_.chunk_row_bytes),
                     core::format_bytes(kMaxChunkBytes)));
  }
  hsize_t stored = 0;
  if (H5Dget_num_chunks(id(), space_.get(), &stored) < 0) fail("its chunks cannot be counted" + h5_reason());
  if (stored != static_cast<hsize_t>(n_chunks))
    fail(fmt::format("only {} of its {} chunks are stored", stored, n_chunks));
  const hsize_t stored_bytes = H5Dget_storage_size(id());
  if (stored_bytes > static_cast<hsize_t>(source_->file_bytes())) fail("its chunks are larger than the file");
  // The header's check found unfiltered chunks to be of one size, the layout's: it must be the shape's.
  if (filters_.empty() && stored_bytes != static_cast<hsize_t>(chunk_bytes_) * stored)
    fail("its chunks are not of the size it states");
}

}  // namespace phase0::store
