#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "store/h5_reader.h"
#include "store/h5_reader_impl.h"
#include "store/h5_strings.h"
#include "store/h5_types.h"

namespace phase0::store {
namespace {

constexpr std::int64_t kMaxAttributeElements = std::int64_t{1} << 16;
/// Whole datasets are metadata, an entry per utterance: a shape beyond this is a damaged or hostile one.
constexpr std::int64_t kMaxWholeElements = std::int64_t{1} << 27;
/// Each read goes through the heaps of its strings once.
constexpr std::int64_t kMostStringsPerRead = std::int64_t{1} << 14;
constexpr std::int64_t kStringBytesPerRead = std::int64_t{1} << 20;

/// A value that HDF5's conversion may have clipped.
bool is_clipped(hid_t type, std::int64_t value) {
  return value == std::numeric_limits<std::int64_t>::max() && H5Tget_size(type) == 8 &&
         H5Tget_sign(type) == H5T_SGN_NONE;
}

/// An attribute of an object, with the errors that concern it.
class AttributeReader {
 public:
  AttributeReader(const H5Source& source, const std::string& object, const std::string& name)
      : source_(source), object_(object), name_(name) {
    const H5Object owner = source.open(object);
    const htri_t present = H5Aexists(owner.get(), name.c_str());
    if (present <= 0) fail("is missing");
    id_ = H5Attribute(H5Aopen(owner.get(), name.c_str(), H5P_DEFAULT));
    if (!id_) fail("cannot be opened" + h5_reason());
    type_ = H5Type(H5Aget_type(id_.get()));
    space_ = H5Space(H5Aget_space(id_.get()));
    const hssize_t n = space_ ? H5Sget_simple_extent_npoints(space_.get()) : -1;
    if (!type_ || n < 0 || n > kMaxAttributeElements) fail("has a type or size that cannot be read");
    elements_ = n;
  }

  [[noreturn]] void fail(const std::string& message) const {
    source_.fail(object_, fmt::format("attribute {} {}", name_, message));
  }
  bool is_integer() const { return is_plain_integer(type_.get()); }
  bool is_float() const { return is_plain_float(type_.get()); }
  bool is_string() const { return H5Tget_class(type_.get()) == H5T_STRING; }
  void require_scalar() const {
    if (elements_ != 1) fail(fmt::format("has {} values where one is expected", elements_));
  }

  std::vector<std::int64_t> integers() const {
    std::vector<std::int64_t> values(static_cast<std::size_t>(elements_));
    if (!is_integer()) fail("is not an integer");
    if (elements_ > 0 && H5Aread(id_.get(), H5T_NATIVE_INT64, values.data()) < 0)
      fail("cannot be read" + h5_reason());
    for (const std::int64_t value : values) {
      if (is_clipped(type_.get(), value)) fail("is out of range");
    }
    return values;
  }
  double real() const {
    require_scalar();
    if (is_integer()) return static_cast<double>(integers()[0]);
    if (!is_float()) fail("is not a number");
    double value = 0;
    if (H5Aread(id_.get(), H5T_NATIVE_DOUBLE, &value) < 0) fail("cannot be read" + h5_reason());
    return value;
  }
  std::string string() const {
    require_scalar();
    if (!is_string()) fail("is not a string");
    std::vector<std::string> values;
    const auto read = [this](hid_t memory_type, void* out) { return H5Aread(id_.get(), memory_type, out); };
    read_strings(source_, object_ + ": attribute " + name_, type_.get(), 1, read, source_.attribute_room(),
                 values);
    return std::move(values[0]);
  }

 private:
  const H5Source& source_;
  const std::string& object_;
  const std::string& name_;
  H5Attribute id_;
  H5Type type_;
  H5Space space_;
  std::int64_t elements_ = 0;
};

herr_t add_name(hid_t, const char* name, const H5A_info_t*, void* out) {
  try {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
  } catch (...) {
    return -1;  // no exception may cross the C library
  }
  return 0;
}

/// A dataset that is read whole, numbers or strings.
class WholeReader {
 public:
  WholeReader(const H5Source& source, H5StoredDataset& dataset) : source_(source), dataset_(dataset) {
    if (dataset.elements() > kMaxWholeElements)
      fail(fmt::format("has {} values: too many", dataset.elements()));
    const std::int64_t value_bytes = dataset.info().is_string ? sizeof(std::string) : 8;
    room_ = source.most_memory();
    const std::int64_t least = std::max(dataset.elements() * value_bytes, dataset.info().chunk_row_bytes);
    if (least > room_) fail(fmt::format("takes {} bytes, far more than the file has", least));
    room_ -= dataset.elements() * value_bytes;
  }

  [[noreturn]] void fail(const std::string& message) const { source_.fail(dataset_.name(), message); }

  std::vector<std::int64_t> integers() const {
    if (!is_plain_integer(dataset_.type())) fail("is not of an integer type");
    auto values = read<std::int64_t>(H5T_NATIVE_INT64);
    for (const std::int64_t value : values) {
      if (is_clipped(dataset_.type(), value)) fail("holds a value out of range");
    }
    return values;
  }
  std::vector<double> reals() const {
    if (!is_plain_integer(dataset_.type()) && !is_plain_float(dataset_.type()))
      fail("is not of a number type");
    return read<double>(H5T_NATIVE_DOUBLE);
  }
  std::vector<std::string> strings() const;

 private:
  template <typename T>
  std::vector<T> read(hid_t memory_type) const {
    dataset_.verify();
    std::vector<T> values(static_cast<std::size_t>(dataset_.elements()));
    const H5Properties transfer = h5_transfer();
    if (!values.empty() &&
        H5Dread(dataset_.id(), memory_type, H5S_ALL, H5S_ALL, transfer.get(), values.data()) < 0) {
      fail("cannot be read" + h5_reason());
    }
    return values;
  }

  const H5Source& source_;
  H5StoredDataset& dataset_;
  std::int64_t room_ = 0;  ///< bytes that the text of strings may take
};

std::vector<std::string> WholeReader::strings() const {
  if (!dataset_.info().is_string) fail("is not of a string type");
  if (dataset_.info().shape.size() != 1) fail("is not 1-d");
  dataset_.verify();
  std::vector<std::string> values;
  std::int64_t room = room_;
  const auto stored_bytes = static_cast<std::int64_t>(H5Tget_size(dataset_.type()));
  const std::int64_t per_read = std::clamp<std::int64_t>(
      kStringBytesPerRead / std::max<std::int64_t>(stored_bytes, 1), 1, kMostStringsPerRead);
  const H5Space file_space(H5Dget_space(dataset_.id()));
  const H5Properties transfer = h5_transfer();
  for (std::int64_t first = 0; first < dataset_.elements(); first += per_read) {
    const auto start = static_cast<hsize_t>(first);
    const auto n = static_cast<hsize_t>(std::min(per_read, dataset_.elements() - first));
    const H5Space memory_space(H5Screate_simple(1, &n, nullptr));
    H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, &start, nullptr, &n, nullptr);
    const auto read = [&](hid_t memory_type, void* out) {
      return H5Dread(dataset_.id(), memory_type, memory_space.get(), file_space.get(), transfer.get(), out);
    };
    read_strings(source_, dataset_.name(), dataset_.type(), n, read, room, values);
  }
  return values;
}

std::vector<std::string> to_decimal(const std::vector<std::int64_t>& values) {
  std::vector<std::string> names;
  names.reserve(values.size());
  for (const std::int64_t value : values) names.push_back(std::to_string(value));
  return names;
}

}  // namespace

bool H5Reader::has_attribute(const std::string& object, const std::string& name) const {
  const H5Session session;
  const H5Object owner = impl_->source.open(object);
  return H5Aexists(owner.get(), name.c_str()) > 0;
}

std::vector<std::string> H5Reader::attribute_names(const std::string& object) const {
  const H5Session session;
  const H5Object owner = impl_->source.open(object);
  std::vector<std::string> names;
  hsize_t next = 0;
  if (H5Aiterate2(owner.get(), H5_INDEX_NAME, H5_ITER_NATIVE, &next, add_name, &names) < 0) {
    impl_->source.fail(object, "its attributes cannot be listed" + h5_reason());
  }
  std::sort(names.begin(), names.end());
  return names;
}

double H5Reader::read_double(const std::string& object, const std::string& name) const {
  const H5Session session;
  return AttributeReader(impl_->source, object, name).real();
}

std::int64_t H5Reader::read_int(const std::string& object, const std::string& name) const {
  const H5Session session;
  const AttributeReader attribute(impl_->source, object, name);
  attribute.require_scalar();
  if (!attribute.is_float()) return attribute.integers()[0];
  const double value = attribute.real();
  if (!(std::abs(value) <= 0x1p53) || value != std::floor(value)) attribute.fail("is not an integer");
  return static_cast<std::int64_t>(value);
}

std::string H5Reader::read_string(const std::string& object, const std::string& name) const {
  const H5Session session;
  return AttributeReader(impl_->source, object, name).string();
}

std::vector<std::int64_t> H5Reader::read_ints(const std::string& object, const std::string& name) const {
  const H5Session session;
  return AttributeReader(impl_->source, object, name).integers();
}

std::string H5Reader::read_name(const std::string& object, const std::string& name) const {
  const H5Session session;
  const AttributeReader attribute(impl_->source, object, name);
  if (attribute.is_string()) return attribute.string();
  if (!attribute.is_integer()) attribute.fail("is neither a string nor an integer");
  attribute.require_scalar();
  return std::to_string(attribute.integers()[0]);
}

std::vector<std::int64_t> H5Reader::read_int_dataset(const std::string& dataset) const {
  const H5Session session;
  return WholeReader(impl_->source, impl_->dataset(dataset)).integers();
}

std::vector<double> H5Reader::read_double_dataset(const std::string& dataset) const {
  const H5Session session;
  return WholeReader(impl_->source, impl_->dataset(dataset)).reals();
}

std::vector<std::string> H5Reader::read_string_dataset(const std::string& dataset) const {
  const H5Session session;
  return WholeReader(impl_->source, impl_->dataset(dataset)).strings();
}

std::vector<std::string> H5Reader::read_name_dataset(const std::string& dataset) const {
  const H5Session session;
  H5StoredDataset& stored = impl_->dataset(dataset);
  const WholeReader reader(impl_->source, stored);
  if (stored.info().is_string) return reader.strings();
  if (!is_plain_integer(stored.type())) reader.fail("is neither of a string nor of an integer type");
  return to_decimal(reader.integers());
}

}  // namespace phase0::store
