#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "phase0/error.h"
#include "store/element_type.h"
#include "store/mapped.h"

namespace phase0::store {

/// What is known of a dataset without reading it.
struct DatasetInfo {
  std::vector<std::int64_t> shape;
  bool is_string = false;
  std::optional<ElementType> type;  ///< little-endian types that phase0 knows; empty for all others
  bool contiguous = false;          ///< contiguous and unfiltered: `offset` and `bytes` hold
  std::int64_t offset = -1;         ///< of the first byte in the file; -1 when no storage is allocated
  std::int64_t bytes = 0;
  std::int64_t chunk_rows = 0;  ///< rows of a chunk; 0 unless chunked
  std::int64_t chunk_row_bytes =
      0;  ///< all chunks that hold the same rows, decoded: what reading a row costs
};

/// Reads HDF5 files that may come from anywhere. Only hard links are followed; external raw storage, virtual
/// datasets, filters other than shuffle, fletcher32, gzip and zstd (id 32015, decoded in process), and
/// storage ranges outside the real file are refused. No plugin is ever loaded. Not thread-safe (HDF5 has one
/// global lock).
class H5Reader {
 public:
  /// `damage` is the kind of the errors for a file that is not what it should be: kData for inputs.
  explicit H5Reader(const std::string& path, ErrorKind damage = ErrorKind::kData);
  ~H5Reader();
  H5Reader(H5Reader&&) noexcept;
  H5Reader& operator=(H5Reader&&) noexcept;

  const std::string& path() const;
  std::int64_t file_bytes() const;

  /// Whether a hard link to an object stands there. A soft, external or user-defined link is an Error.
  bool exists(const std::string& object) const;
  bool is_group(const std::string& object) const;
  /// Where an object that exists lies in the file: groups that are linked in a circle come back to theirs.
  std::uint64_t address(const std::string& object) const;
  /// Names of a group's members in byte order.
  std::vector<std::string> members(const std::string& group) const;
  /// Checks what the class comment promises. `dataset` must exist.
  DatasetInfo info(const std::string& dataset) const;

  bool has_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> attribute_names(const std::string& object) const;
  /// Numeric attributes convert between number types; integers must be exact.
  double read_double(const std::string& object, const std::string& name) const;
  std::int64_t read_int(const std::string& object, const std::string& name) const;
  std::string read_string(const std::string& object, const std::string& name) const;
  std::vector<std::int64_t> read_ints(const std::string& object, const std::string& name) const;
  /// A string as it is, an integer in decimal: for speaker ids.
  std::string read_name(const std::string& object, const std::string& name) const;

  /// Whole small datasets, converted from any stored integer (or float) type.
  std::vector<std::int64_t> read_int_dataset(const std::string& dataset) const;
  std::vector<double> read_double_dataset(const std::string& dataset) const;
  std::vector<std::string> read_string_dataset(const std::string& dataset) const;
  /// Strings as they are, integers in decimal.
  std::vector<std::string> read_name_dataset(const std::string& dataset) const;
  /// Rows [first, first + n) of a 1-d or 2-d dataset as its stored type (must be `type`), into `out`.
  void read_rows(const std::string& dataset, ElementType type, std::int64_t first, std::int64_t n,
                 void* out) const;

  /// Maps a contiguous dataset of `type` read-only. Throws when it is not mappable.
  MappedDataset map(const std::string& dataset, ElementType type) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace phase0::store
