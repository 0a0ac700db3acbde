#include "store/mapped.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>

#include "core/checked.h"
#include "store/mapped_ranges.h"
#include "store/posix_file.h"
#include "store/read_ahead.h"
#include "store/scratch_file.h"

namespace phase0::store {
namespace {

/// One fault maps the cached pages of this much around it (Linux: fault_around_bytes). Ranges are let go to
/// its multiples, or the tails that a neighbour's first fault brought back would stay resident, range after
/// range.
constexpr std::int64_t kFaultAroundBytes = std::int64_t{64} << 10;

std::int64_t page_bytes() {
  return ::sysconf(_SC_PAGESIZE);
}

}  // namespace

struct MappedRegion::Impl {
  /// All that are written through, for check_all_written_back().
  struct Written {
    std::mutex mutex;
    std::set<const Impl*> regions;
  };
  static Written& written() {
    static Written all;
    return all;
  }

  std::string path;
  FileDescriptor file;
  std::int64_t file_offset = 0;  ///< of `base`: a whole page
  std::int64_t head = 0;         ///< bytes between `base` and the range
  std::int64_t size = 0;
  std::byte* base = nullptr;
  ErrorKind damage = ErrorKind::kStorage;  ///< what a file that ends too early is
  ReadAhead ahead;
  std::optional<MappedRange> range;  ///< for the handler of SIGBUS

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    {
      const std::lock_guard lock(written().mutex);
      written().regions.erase(this);
    }
    range.reset();
    if (base != nullptr) ::munmap(base, static_cast<std::size_t>(head + size));
  }

  void map(std::int64_t offset, std::int64_t bytes, MapMode mode) {
    head = offset % page_bytes();
    file_offset = offset - head;
    size = bytes;
    if (size == 0) return;
    const int protection = mode == MapMode::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
    void* address = ::mmap(nullptr, static_cast<std::size_t>(head + size), protection, MAP_SHARED, file.get(),
                           file_offset);
    if (address == MAP_FAILED) throw_errno("map", path);  // kMemory where the address space is used up
    base = static_cast<std::byte*>(address);
    range.emplace(base, head + size, path, file_offset, damage);
    if (mode == MapMode::kRead) return;
    const std::lock_guard lock(written().mutex);
    written().regions.insert(this);
  }

  void check_write_back() const {
    // Waits for what is on its way alone, and tells of all that has failed (file_check_and_advance_wb_err).
    const int result =
        uninterrupted([&] { return ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE); });
    if (result != 0 && errno != ENOSYS) throw_errno("write back", path);
  }

  /// A part of the mapping, in bytes from `base`.
  struct Pages {
    std::int64_t first = 0;
    std::int64_t end = 0;
    std::size_t bytes() const { return static_cast<std::size_t>(end - first); }
  };

  /// The range clipped to the region and widened to multiples of `unit` in memory, clipped to the mapping
  /// again.
  Pages pages(std::int64_t offset, std::int64_t bytes, std::int64_t unit) const {
    const std::int64_t begin = std::clamp<std::int64_t>(offset, 0, size);
    const std::int64_t end = begin + std::clamp<std::int64_t>(bytes, 0, size - begin);
    if (base == nullptr || begin == end) return {};
    const auto origin = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(base));
    const std::int64_t first = (origin + head + begin) / unit * unit;
    const std::int64_t last = core::round_up(origin + head + end, unit);
    return {std::max<std::int64_t>(first - origin, 0),
            std::min(last - origin, core::round_up(head + size, page_bytes()))};
  }

  /// Everything that touching the range may have mapped.
  Pages mapped_with(std::int64_t offset, std::int64_t bytes) const {
    Pages range = pages(offset, bytes, kFaultAroundBytes);
    if (range.bytes() == 0) return {};
    const std::int64_t first = (file_offset + range.first) / kMappedByFault * kMappedByFault - file_offset;
    const std::int64_t end = core::round_up(file_offset + range.end, kMappedByFault) - file_offset;
    return {std::max<std::int64_t>(first, 0), std::min(end, core::round_up(head + size, page_bytes()))};
  }
};

MappedRegion::MappedRegion(const std::string& path, std::int64_t offset, std::int64_t size, MapMode mode,
                           ErrorKind damage)
    : MappedRegion(mode == MapMode::kRead ? open_regular_file(path, damage) : open_file(path, O_RDWR), path,
                   offset, size, mode, damage) {}

MappedRegion::MappedRegion(FileDescriptor file, const std::string& path, std::int64_t offset,
                           std::int64_t size, MapMode mode, ErrorKind damage)
    : impl_(std::make_shared<Impl>()) {
  PHASE0_CHECK(offset >= 0 && size >= 0);
  impl_->path = path;
  impl_->damage = damage;
  impl_->file = std::move(file);
  const std::int64_t available = file_size(impl_->file, path);
  if (offset > available || size > available - offset) {
    throw Error(damage,
                fmt::format("the file has {} bytes, {} at offset {} were expected", available, size, offset),
                ErrorPlace{.path = path, .offset = offset});
  }
  impl_->map(offset, size, mode);
}

std::byte* MappedRegion::data() const {
  return impl_ == nullptr || impl_->base == nullptr ? nullptr : impl_->base + impl_->head;
}

std::int64_t MappedRegion::size() const {
  return impl_ == nullptr ? 0 : impl_->size;
}

const std::string& MappedRegion::path() const {
  static const std::string none;
  return impl_ == nullptr ? none : impl_->path;
}

void MappedRegion::read(std::int64_t offset, std::int64_t size, void* out) const {
  PHASE0_CHECK(offset >= 0 && size >= 0 && size <= this->size() - offset);
  if (size == 0) return;
  const std::int64_t first = impl_->file_offset + impl_->head + offset;
  if (impl_->ahead.take(first, size, out)) return;
  read_exactly(impl_->file, first, size, out, impl_->path, impl_->damage);
}

void MappedRegion::read_ahead(std::int64_t offset, std::int64_t size, std::int64_t limit_bytes) const {
  PHASE0_CHECK(offset >= 0 && size >= 0 && size <= this->size() - offset);
  if (size == 0) return;
  impl_->ahead.fetch(impl_->file, impl_->file_offset + impl_->head + offset, size, limit_bytes);
}

void MappedRegion::drop_ahead() const {
  if (impl_ != nullptr) impl_->ahead.drop();
}

void MappedRegion::will_need(std::int64_t offset, std::int64_t size) const {
  if (impl_ == nullptr) return;
  const auto range = impl_->pages(offset, size, page_bytes());
  if (range.bytes() > 0) ::madvise(impl_->base + range.first, range.bytes(), MADV_WILLNEED);
}

void MappedRegion::release(std::int64_t offset, std::int64_t size) const {
  if (impl_ == nullptr) return;
  const auto range = impl_->mapped_with(offset, size);
  if (range.bytes() > 0) ::madvise(impl_->base + range.first, range.bytes(), MADV_DONTNEED);
}

void MappedRegion::flush(std::int64_t offset, std::int64_t size) const {
  if (impl_ == nullptr) return;
  const auto range = impl_->pages(offset, size, kFaultAroundBytes);
  if (range.bytes() == 0) return;
  const std::int64_t first = impl_->file_offset + range.first;
  const auto bytes = static_cast<std::int64_t>(range.bytes());
  const int result = uninterrupted([&] {
    return ::sync_file_range(
        impl_->file.get(), first, bytes,
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  });
  // What could not be written must not be dropped unseen: a scratch file is never fsynced.
  if (result != 0 && errno != ENOSYS) throw_errno("write back", impl_->path, errno, first);
  release(offset, size);
  ::posix_fadvise(impl_->file.get(), first, bytes, POSIX_FADV_DONTNEED);
}

void MappedRegion::check_write_back() const {
  if (impl_ != nullptr) impl_->check_write_back();
}

void check_all_written_back() {
  auto& all = MappedRegion::Impl::written();
  const std::lock_guard lock(all.mutex);
  for (const MappedRegion::Impl* region : all.regions) region->check_write_back();
}

MappedDataset scratch_matrix(const std::string& folder, ElementType type, std::int64_t rows,
                             std::int64_t columns) {
  const std::int64_t elements = core::checked_mul(rows, columns, "scratch matrix", ErrorKind::kStorage);
  const std::int64_t bytes =
      core::checked_mul(elements, element_size(type), "scratch matrix", ErrorKind::kStorage);
  auto impl = std::make_shared<MappedRegion::Impl>();
  impl->path = folder;
  impl->file = open_scratch_file(folder);
  reserve_range(impl->file, 0, bytes, folder);
  impl->map(0, bytes, MapMode::kReadWrite);
  MappedRegion region;
  region.impl_ = std::move(impl);
  return {std::move(region), type, rows, columns};
}

}  // namespace phase0::store
