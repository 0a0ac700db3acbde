#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/element_type.h"
#include "store/mapped.h"

namespace phase0::store {

/// Writes one HDF5 file so that it appears under its final name complete or not at all.
///
/// First phase: attributes, small datasets (written at once) and big ones (declared). Then
/// `begin_streaming()` flushes, closes and fsyncs the temporary file `PATH.partial` and reserves the byte
/// ranges of the big datasets (fallocate), after which they are filled through `map()`. `commit()` fsyncs and
/// renames. A writer that goes without commit removes its temporary file. All failures are Error (kStorage);
/// disk full says bytes needed and free.
class H5Writer {
 public:
  explicit H5Writer(const std::string& path);
  ~H5Writer();
  H5Writer(H5Writer&&) noexcept;
  H5Writer& operator=(H5Writer&&) noexcept;

  /// Groups on the way are created. `object` is a group or dataset path; "/" is the root.
  void group(const std::string& path);
  void attribute(const std::string& object, const std::string& name, const std::string& value);
  void attribute(const std::string& object, const std::string& name, std::int64_t value);
  void attribute(const std::string& object, const std::string& name, double value);
  void attribute(const std::string& object, const std::string& name, std::span<const std::int64_t> values);

  void write(const std::string& dataset, std::span<const float> values,
             const std::vector<std::int64_t>& shape);
  void write(const std::string& dataset, std::span<const double> values,
             const std::vector<std::int64_t>& shape);
  void write(const std::string& dataset, std::span<const std::int64_t> values,
             const std::vector<std::int64_t>& shape);
  void write(const std::string& dataset, std::span<const std::uint8_t> values,
             const std::vector<std::int64_t>& shape);
  /// Variable-length UTF-8 strings, [n].
  void write(const std::string& dataset, std::span<const std::string> values);

  /// Declares a contiguous, page-aligned dataset that is streamed later. Any size may be 0.
  void declare(const std::string& dataset, ElementType type, const std::vector<std::int64_t>& shape);

  void begin_streaming();
  /// A declared dataset, read-write; valid until commit.
  MappedDataset map(const std::string& dataset);
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace phase0::store
