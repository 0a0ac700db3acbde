#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "store/element_type.h"
#include "store/mapped.h"

namespace phase0::store {

/// What becomes of the partial file that an earlier writer of the same path left.
enum class Leftover { kReplace, kResume };

/// Writes one HDF5 file so that it appears under its final name complete or not at all.
///
/// First phase, in `PATH.new`: attributes, small datasets (written at once) and big ones (declared). Then
/// `begin_streaming()` flushes, closes and fsyncs that file, renames it to `PATH.partial`, which thus always
/// opens, and reserves the byte ranges of the big datasets (fallocate), after which they are filled through
/// `map()`. `commit()` fsyncs and renames. A writer that goes without commit removes its temporary file,
/// unless it was told to keep the partial one. All failures are Error (kStorage); disk full says bytes needed
/// and free.
class H5Writer {
 public:
  explicit H5Writer(const std::string& path, Leftover leftover = Leftover::kReplace);
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

  /// Whether it goes on in an earlier writer's partial file (Leftover::kResume): one that equals this one's
  /// byte for byte outside the declared datasets and owns their space. Those hold what was streamed; how much
  /// of it is whole is for the caller to know. Such a file is kept unless told otherwise.
  bool begin_streaming();
  /// A declared dataset, read-write; valid until commit.
  MappedDataset map(const std::string& dataset);
  /// What was streamed survives a power cut on return. A failure is final: the partial file goes, and it is
  /// not to be called again.
  void sync();
  bool sync_failed() const;
  /// Whether a writer that goes without commit leaves its partial file.
  void keep_partial(bool keep);
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace phase0::store
