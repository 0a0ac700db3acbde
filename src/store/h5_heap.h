#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "store/h5_source.h"

namespace phase0::store {

/// Reads variable-length strings out of a file's global heap (HDF5 File Format Specification 3.0, section
/// III.E). HDF5 1.10 checks neither the object's index nor its length nor the collection's inner sizes, so
/// that one changed byte lets it read or write outside its buffers; this reader checks all of them.
class H5GlobalHeap {
 public:
  explicit H5GlobalHeap(const H5Source& source) : source_(source) {}

  /// The string behind a reference of source.reference_bytes() bytes. Throws an Error that names `object`.
  std::string read(const std::byte* reference, const std::string& object);

 private:
  struct Item {
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  struct Collection {
    std::vector<std::byte> bytes;
    std::map<unsigned, Item> items;  ///< by index
  };
  const Collection& collection(std::uint64_t address, const std::string& object);
  Collection load(std::uint64_t address, const std::string& object) const;

  const H5Source& source_;
  std::map<std::uint64_t, Collection> collections_;
  std::size_t cached_bytes_ = 0;
};

/// Registers the conversion from variable-length strings to opaque values that leaves the stored reference as
/// it is: the way to the references of attributes and compact datasets.
bool register_reference_conversion();

}  // namespace phase0::store
