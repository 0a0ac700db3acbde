#include "store/h5_reader.h"

#include <fmt/format.h>

#include "core/check.h"
#include "store/h5_reader_impl.h"

namespace phase0::store {

H5Reader::H5Reader(const std::string& path, ErrorKind damage) : impl_(std::make_unique<Impl>(path, damage)) {}
H5Reader::H5Reader(H5Reader&&) noexcept = default;
H5Reader& H5Reader::operator=(H5Reader&&) noexcept = default;
H5Reader::~H5Reader() {
  const H5Session session;
  impl_.reset();
}

const std::string& H5Reader::path() const {
  return impl_->source.path();
}
std::int64_t H5Reader::file_bytes() const {
  return impl_->source.file_bytes();
}
bool H5Reader::exists(const std::string& object) const {
  return impl_->source.exists(object);
}

bool H5Reader::is_group(const std::string& object) const {
  return impl_->source.exists(object) && impl_->source.kind(object) == H5O_TYPE_GROUP;
}

std::uint64_t H5Reader::address(const std::string& object) const {
  return impl_->source.address(object);
}

std::vector<std::string> H5Reader::members(const std::string& group) const {
  return impl_->source.members(group);
}

DatasetInfo H5Reader::info(const std::string& dataset) const {
  const H5Session session;
  return impl_->dataset(dataset).info();
}

void H5Reader::read_rows(const std::string& dataset, ElementType type, std::int64_t first, std::int64_t n,
                         void* out) const {
  const H5Session session;
  H5StoredDataset& stored = impl_->dataset(dataset);
  const DatasetInfo& info = stored.info();
  if (info.type != type) impl_->source.fail(dataset, fmt::format("is not {}", to_string(type)));
  if (info.shape.empty() || info.shape.size() > 2) impl_->source.fail(dataset, "is not 1-d or 2-d");
  if (first < 0 || n < 0 || first > info.shape[0] || n > info.shape[0] - first) {
    impl_->source.fail(dataset, fmt::format("has {} rows, not {} from row {}", info.shape[0], n, first));
  }
  stored.read_rows(first, n, static_cast<std::byte*>(out));
}

MappedDataset H5Reader::map(const std::string& dataset, ElementType type) const {
  const H5Session session;
  const DatasetInfo& info = impl_->dataset(dataset).info();
  const auto fail = [&](const std::string& message) { impl_->source.fail(dataset, message); };
  if (info.type != type) fail(fmt::format("is not {}", to_string(type)));
  if (info.shape.empty() || info.shape.size() > 2) fail("is not 1-d or 2-d");
  if (!info.contiguous) fail("is not contiguous and unfiltered: it cannot be mapped");
  if (info.bytes > 0 && info.offset < 0) fail("was never written: it has no storage");
  if (info.bytes > 0 && info.offset % element_size(type) != 0)
    fail("is not aligned to its element: it cannot be mapped");
  const std::int64_t columns = info.shape.size() == 2 ? info.shape[1] : 1;
  // What was checked is mapped, even if by now another file has the path.
  MappedRegion region(duplicate(impl_->source.descriptor(), path()), path(), info.bytes > 0 ? info.offset : 0,
                      info.bytes, MapMode::kRead, impl_->source.damage());
  return {std::move(region), type, info.shape[0], columns};
}

}  // namespace phase0::store
