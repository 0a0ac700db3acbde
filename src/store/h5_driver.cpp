#include "store/h5_driver.h"

#include <sys/file.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "core/check.h"

namespace phase0::store {
namespace {

/// HDF5's view of an open file; its own part must come first.
struct OpenFile {
  H5FD_t base{};
  H5Channel* channel = nullptr;
  haddr_t allocated_end = 0;
};

/// What an access property list carries.
struct AccessInfo {
  H5Channel* channel = nullptr;
};

OpenFile& as_open(H5FD_t* file) {
  return *reinterpret_cast<OpenFile*>(file);
}
const OpenFile& as_open(const H5FD_t* file) {
  return *reinterpret_cast<const OpenFile*>(file);
}

H5FD_t* open_channel(const char*, unsigned flags, hid_t access, haddr_t) {
  const auto* info = static_cast<const AccessInfo*>(H5Pget_driver_info(access));
  auto* file = info == nullptr ? nullptr : new (std::nothrow) OpenFile;
  if (file == nullptr) return nullptr;
  file->channel = info->channel;
  if ((flags & H5F_ACC_TRUNC) != 0) file->channel->resize(0);
  return &file->base;
}

herr_t close_channel(H5FD_t* file) {
  as_open(file).channel->unlock();
  delete &as_open(file);
  return 0;
}

/// As HDF5's own driver, so that files are laid out the same.
herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t get_allocated_end(const H5FD_t* file, H5FD_mem_t) {
  return as_open(file).allocated_end;
}

herr_t set_allocated_end(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  as_open(file).allocated_end = end;
  return 0;
}

haddr_t get_end(const H5FD_t* file, H5FD_mem_t) {
  return static_cast<haddr_t>(as_open(file).channel->size());
}

constexpr auto kMaxAddress = static_cast<haddr_t>(std::numeric_limits<std::int64_t>::max());

bool is_addressable(haddr_t address, std::size_t size) {
  return address <= kMaxAddress && size <= kMaxAddress - address;
}

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* out) {
  if (!is_addressable(address, size)) return -1;
  const bool read =
      as_open(file).channel->read(static_cast<std::int64_t>(address), static_cast<std::int64_t>(size), out);
  return read ? 0 : -1;
}

herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, const void* data) {
  if (!is_addressable(address, size)) return -1;
  as_open(file).channel->write(static_cast<std::int64_t>(address), static_cast<std::int64_t>(size), data);
  return 0;
}

herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  as_open(file).channel->resize(static_cast<std::int64_t>(as_open(file).allocated_end));
  return 0;
}

herr_t lock(H5FD_t* file, hbool_t exclusive) {
  return as_open(file).channel->lock(exclusive) ? 0 : -1;
}

herr_t unlock(H5FD_t* file) {
  as_open(file).channel->unlock();
  return 0;
}

H5FD_class_t make_driver() {
  H5FD_class_t driver{};
  driver.name = "phase0";
  driver.maxaddr = kMaxAddress;
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.fapl_size = sizeof(AccessInfo);
  driver.open = open_channel;
  driver.close = close_channel;
  driver.query = query;
  driver.get_eoa = get_allocated_end;
  driver.set_eoa = set_allocated_end;
  driver.get_eof = get_end;
  driver.read = read;
  driver.write = write;
  driver.truncate = truncate;
  driver.lock = lock;
  driver.unlock = unlock;
  constexpr H5FD_mem_t kKinds[H5FD_MEM_NTYPES] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(kKinds), std::end(kKinds), driver.fl_map);
  return driver;
}

hid_t driver_id() {
  static const H5FD_class_t driver = make_driver();
  static const hid_t id = H5FDregister(&driver);
  return id;
}

}  // namespace

H5Channel::H5Channel(const FileDescriptor& file, std::string path, ErrorKind damage)
    : file_(file), path_(std::move(path)), damage_(damage), bytes_(file_size(file, path_)) {}

void H5Channel::use(const H5Properties& access) {
  const AccessInfo info{this};
  PHASE0_CHECK(H5Pset_driver(access.get(), driver_id(), &info) >= 0);
}

void H5Channel::check() const {
  if (failure_) std::rethrow_exception(failure_);
}

bool H5Channel::read(std::int64_t offset, std::int64_t size, void* out) noexcept {
  // HDF5 expects zeros behind the end, where it has allocated but not written.
  const std::int64_t inside = std::clamp<std::int64_t>(bytes_ - offset, 0, size);
  std::memset(static_cast<std::byte*>(out) + inside, 0, static_cast<std::size_t>(size - inside));
  try {
    read_exactly(file_, offset, inside, out, path_, damage_);
    return true;
  } catch (...) {
    if (!failure_) failure_ = std::current_exception();
    return false;
  }
}

void H5Channel::write(std::int64_t offset, std::int64_t size, const void* data) noexcept {
  if (failure_) return;  // the file is lost
  try {
    write_exactly(file_, offset, size, data, path_);
    bytes_ = std::max(bytes_, offset + size);
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void H5Channel::resize(std::int64_t size) noexcept {
  if (failure_ || size == bytes_) return;
  try {
    resize_file(file_, size, path_);
    bytes_ = size;
  } catch (...) {
    failure_ = std::current_exception();
  }
}

bool H5Channel::lock(bool exclusive) noexcept {
  return try_lock(file_, exclusive ? LOCK_EX : LOCK_SH);
}

void H5Channel::unlock() noexcept {
  if (!keeps_lock_) ::flock(file_.get(), LOCK_UN);
}

}  // namespace phase0::store
