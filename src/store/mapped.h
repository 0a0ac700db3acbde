#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/check.h"
#include "phase0/error.h"
#include "store/element_type.h"

namespace phase0::store {

class FileDescriptor;
class MappedDataset;

enum class MapMode { kRead, kReadWrite };

/// Newer kernels map the whole folio that a fault hits, as large as a huge page, at multiples of its size in
/// the file.
inline constexpr std::int64_t kMappedByFault = std::int64_t{2} << 20;

/// A byte range of a file in memory. Shared by copies of the handle; unmapped with the last one.
/// Pages that were read stay resident until release(); pages that were written until flush().
class MappedRegion {
 public:
  MappedRegion() = default;
  /// Maps bytes [offset, offset + size) of `path`; `offset` need not be page-aligned, size may be 0.
  /// Throws Error (kStorage; `damage` when the file is none or the range ends behind the file's end).
  MappedRegion(const std::string& path, std::int64_t offset, std::int64_t size, MapMode mode,
               ErrorKind damage = ErrorKind::kData);
  /// The same of a file that is open, whatever stands at `path` by now.
  MappedRegion(FileDescriptor file, const std::string& path, std::int64_t offset, std::int64_t size,
               MapMode mode, ErrorKind damage);

  std::byte* data() const;
  std::int64_t size() const;
  const std::string& path() const;

  /// Copies a part of the range, not through the map, so that nothing becomes resident: the way to scan.
  /// Throws Error (kStorage, `damage` when the file ends too early). May be called from any thread, as the
  /// two below.
  void read(std::int64_t offset, std::int64_t size, void* out) const;
  /// Hints: the same part will be read soon and the page cache cannot hold it (store/read_ahead.h); and what
  /// was not read will not be.
  void read_ahead(std::int64_t offset, std::int64_t size, std::int64_t limit_bytes) const;
  void drop_ahead() const;

  /// Relative to the range and clipped to it. Const because the contents do not change. The first two are
  /// hints and never fail.
  void will_need(std::int64_t offset, std::int64_t size) const;
  /// Takes the range out of the resident set (MADV_DONTNEED), widened to multiples of 2 MiB in the file,
  /// which is what one page fault may bring in; pages are mapped again on the next use, so a neighbour's are
  /// only delayed.
  void release(std::int64_t offset, std::int64_t size) const;
  /// Written pages of the range: starts and waits for their write-back (sync_file_range), then takes them out
  /// of the resident set and the page cache. Written back are whole 64 KiB. Throws Error (kStorage) when they
  /// cannot be written; the kernel also tells the fsync of whoever commits the file.
  void flush(std::int64_t offset, std::int64_t size) const;
  /// For what was written and never flushed: throws Error (kStorage) when the kernel could not write back
  /// some of it, and so may have given back what was there before.
  void check_write_back() const;

 private:
  friend MappedDataset scratch_matrix(const std::string& folder, ElementType type, std::int64_t rows,
                                      std::int64_t columns);
  friend void check_all_written_back();
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// check_write_back() of every region that this process writes through: what relies on what was read back
/// from them may be kept behind it only.
void check_all_written_back();

/// A contiguous 1-d or 2-d dataset in memory: `rows` rows of `columns` elements, row-major.
class MappedDataset {
 public:
  MappedDataset() = default;
  MappedDataset(MappedRegion region, ElementType type, std::int64_t rows, std::int64_t columns)
      : region_(std::move(region)), type_(type), rows_(rows), columns_(columns) {}

  ElementType type() const { return type_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t row_bytes() const { return columns_ * element_size(type_); }
  std::int64_t bytes() const { return rows_ * row_bytes(); }
  bool empty() const { return rows_ == 0; }
  const MappedRegion& region() const { return region_; }

  /// First element; T must be the stored type.
  template <typename T>
  const T* data() const {
    PHASE0_CHECK(element_type<T>() == type_);
    return reinterpret_cast<const T*>(region_.data());
  }
  /// For read-write maps only.
  template <typename T>
  T* mutable_data() {
    PHASE0_CHECK(element_type<T>() == type_);
    return reinterpret_cast<T*>(region_.data());
  }
  const std::byte* row(std::int64_t r) const { return region_.data() + r * row_bytes(); }
  std::byte* mutable_row(std::int64_t r) { return region_.data() + r * row_bytes(); }

  /// Rows, as MappedRegion's of the same name.
  void read(std::int64_t first, std::int64_t n, void* out) const {
    region_.read(first * row_bytes(), n * row_bytes(), out);
  }
  void read_ahead(std::int64_t first, std::int64_t n, std::int64_t limit_bytes) const {
    region_.read_ahead(first * row_bytes(), n * row_bytes(), limit_bytes);
  }
  void drop_ahead() const { region_.drop_ahead(); }
  void will_need(std::int64_t first, std::int64_t n) const {
    region_.will_need(first * row_bytes(), n * row_bytes());
  }
  void release(std::int64_t first, std::int64_t n) const {
    region_.release(first * row_bytes(), n * row_bytes());
  }
  void flush(std::int64_t first, std::int64_t n) const {
    region_.flush(first * row_bytes(), n * row_bytes());
  }
  void check_write_back() const { region_.check_write_back(); }

 private:
  MappedRegion region_;
  ElementType type_ = ElementType::kFloat32;
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
};

/// A matrix in a temporary file (deleted from the folder at once, its space given back with the last handle),
/// for what is too large for memory and not worth keeping. Space is reserved up front. Throws Error
/// (kStorage).
MappedDataset scratch_matrix(const std::string& folder, ElementType type, std::int64_t rows,
                             std::int64_t columns);

}  // namespace phase0::store
