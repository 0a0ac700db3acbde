#pragma once

#include <hdf5.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace phase0::test {

/// How a test dataset is stored. Without `chunk` it is contiguous (or compact).
struct RawLayout {
  std::vector<std::int64_t> chunk = {};
  bool shuffle = false;
  bool fletcher32 = false;
  int gzip = -1;
  int zstd = -1;  ///< the filter must be registered: open any file with the library first
  bool compact = false;
};

/// Writes HDF5 files through the C API alone, so that tests do not read what the code under test wrote.
class RawH5File {
 public:
  explicit RawH5File(const std::string& path)
      : id_(check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT))) {}
  /// Takes over a file that is open.
  explicit RawH5File(hid_t id) : id_(id) {}
  ~RawH5File() { H5Fclose(id_); }
  RawH5File(const RawH5File&) = delete;
  RawH5File& operator=(const RawH5File&) = delete;

  hid_t id() const { return id_; }

  static hid_t half_type() {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
  }
  static hid_t string_type() {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
  }

  void group(const std::string& name) { H5Gclose(check(H5Gcreate2(id_, name.c_str(), links(), 0, 0))); }

  /// `values` in the layout of `type`, which is both the stored and the memory type; null leaves it
  /// unwritten.
  void dataset(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape,
               const void* values, const RawLayout& layout = {}) {
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    if (layout.compact) H5Pset_layout(properties, H5D_COMPACT);
    if (!layout.chunk.empty()) {
      const std::vector<hsize_t> chunk(layout.chunk.begin(), layout.chunk.end());
      check(H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()));
    }
    if (layout.shuffle) check(H5Pset_shuffle(properties));
    if (layout.gzip >= 0) check(H5Pset_deflate(properties, static_cast<unsigned>(layout.gzip)));
    if (layout.zstd >= 0) {
      const auto level = static_cast<unsigned>(layout.zstd);
      check(H5Pset_filter(properties, 32015, H5Z_FLAG_MANDATORY, 1, &level));
    }
    if (layout.fletcher32) check(H5Pset_fletcher32(properties));
    dataset(name, type, shape, values, properties);
    H5Pclose(properties);
  }

  void dataset(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape,
               const void* values, hid_t properties) {
    const std::vector<hsize_t> extent(shape.begin(), shape.end());
    const hid_t space = H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr);
    const hid_t id = check(H5Dcreate2(id_, name.c_str(), type, space, links(), properties, H5P_DEFAULT));
    if (values != nullptr) check(H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
    H5Dclose(id);
    H5Sclose(space);
  }

  void strings(const std::string& name, const std::vector<std::string>& values,
               const RawLayout& layout = {}) {
    std::vector<const char*> pointers;
    for (const std::string& value : values) pointers.push_back(value.c_str());
    const hid_t type = string_type();
    dataset(name, type, {static_cast<std::int64_t>(values.size())}, pointers.data(), layout);
    H5Tclose(type);
  }
  void ints(const std::string& name, const std::vector<std::int64_t>& values, const RawLayout& layout = {}) {
    dataset(name, H5T_STD_I64LE, {static_cast<std::int64_t>(values.size())}, values.data(), layout);
  }

  void attribute(const std::string& object, const std::string& name, hid_t type, const void* value) {
    const hid_t owner = check(H5Oopen(id_, object.c_str(), H5P_DEFAULT));
    if (H5Aexists(owner, name.c_str()) > 0) H5Adelete(owner, name.c_str());
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t id = check(H5Acreate2(owner, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
    check(H5Awrite(id, type, value));
    H5Aclose(id);
    H5Sclose(space);
    H5Oclose(owner);
  }
  void attribute(const std::string& object, const std::string& name, const std::string& value) {
    const char* text = value.c_str();
    const hid_t type = string_type();
    attribute(object, name, type, &text);
    H5Tclose(type);
  }
  void attribute(const std::string& object, const std::string& name, double value) {
    attribute(object, name, H5T_IEEE_F64LE, &value);
  }
  void attribute(const std::string& object, const std::string& name, std::int64_t value) {
    attribute(object, name, H5T_STD_I64LE, &value);
  }

  void remove(const std::string& object) { check(H5Ldelete(id_, object.c_str(), H5P_DEFAULT)); }
  void remove_attribute(const std::string& object, const std::string& name) {
    check(H5Adelete_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT));
  }
  void soft_link(const std::string& target, const std::string& name) {
    check(H5Lcreate_soft(target.c_str(), id_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT));
  }
  void external_link(const std::string& file, const std::string& target, const std::string& name) {
    check(H5Lcreate_external(file.c_str(), target.c_str(), id_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT));
  }
  /// A dataset whose bytes stand in another file.
  void external_storage(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape,
                        const std::string& file) {
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    check(H5Pset_external(properties, file.c_str(), 0, H5F_UNLIMITED));
    dataset(name, type, shape, nullptr, properties);
    H5Pclose(properties);
  }
  /// A virtual dataset onto a dataset of the same shape in another file.
  void virtual_dataset(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape,
                       const std::string& file, const std::string& source) {
    const std::vector<hsize_t> extent(shape.begin(), shape.end());
    const hid_t space = H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr);
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    check(H5Pset_virtual(properties, space, file.c_str(), source.c_str(), space));
    dataset(name, type, shape, nullptr, properties);
    H5Pclose(properties);
    H5Sclose(space);
  }

 private:
  /// Link creation that makes the groups on the way.
  static hid_t links() {
    static const hid_t kLinks = [] {
      const hid_t properties = H5Pcreate(H5P_LINK_CREATE);
      H5Pset_create_intermediate_group(properties, 1);
      return properties;
    }();
    return kLinks;
  }
  template <typename Result>
  static Result check(Result result) {
    if (result < 0) throw std::runtime_error("an HDF5 call of a test failed");
    return result;
  }

  hid_t id_;
};

}  // namespace phase0::test
