#include "store/h5_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <numeric>

#include "core/check.h"
#include "core/checked.h"
#include "store/commit_step.h"
#include "store/file_system.h"
#include "store/h5_driver.h"
#include "store/h5_handles.h"
#include "store/h5_types.h"
#include "store/partial_file.h"
#include "store/posix_file.h"

namespace phase0::store {
namespace {

constexpr hsize_t kPageBytes = 4096;

struct Declared {
  ElementType type = ElementType::kFloat32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t bytes = 0;
  std::int64_t offset = 0;
};

std::int64_t count(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t size : shape) n = core::checked_mul(n, size, "dataset", ErrorKind::kStorage);
  return n;
}

H5File create_file(const std::string& path, H5Channel& channel) {
  const H5Properties access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  H5Pset_file_locking(access.get(), true, true);
  // Every object starts a page, so that each declared dataset does, small ones too. Readable since HDF5 1.8.
  H5Pset_alignment(access.get(), 1, kPageBytes);
  H5Pset_meta_block_size(access.get(), 0);
  H5Pset_small_data_block_size(access.get(), 0);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
  const H5Properties creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(creation.get(), false);  // the same contents give the same bytes
  channel.use(access);
  H5File file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
  // Asked here: closing the property lists clears what HDF5 had to say.
  const std::string reason = file ? "" : h5_reason();
  channel.check();
  if (!file) throw Error(ErrorKind::kStorage, "cannot be created" + reason, ErrorPlace{.path = path});
  return file;
}

H5Type string_type() {
  H5Type type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

}  // namespace

struct H5Writer::Impl {
  std::string path;
  std::string partial;
  std::string temporary;  ///< PATH.new, later PATH.partial
  Leftover leftover;
  FileDescriptor descriptor;  ///< held from the start, or its fsync could miss an error of the write-back
  FileDescriptor lock;        ///< behind its close, until the file has its name
  H5Channel channel;
  H5File file;
  std::map<std::string, Declared> declared;
  bool streaming = false;
  bool keep = false;  ///< the partial file, when the writer goes
  bool sync_failed = false;
  bool committed = false;

  Impl(const std::string& final_path, Leftover what_of_it)
      : path(final_path),
        partial(final_path + ".partial"),
        temporary(final_path + ".new"),
        leftover(what_of_it),
        descriptor(create_locked_file(temporary, O_RDWR)),  // the lock goes with the file from name to name
        channel(descriptor, temporary, ErrorKind::kStorage) {
    const H5Session session;
    channel.keep_lock();
    try {
      if (leftover == Leftover::kReplace) remove_partial();  // makes room
      file = create_file(temporary, channel);
      commit_step(path, "created");
    } catch (...) {
      remove_own(descriptor, temporary);
      throw;
    }
  }
  ~Impl() {
    const H5Session session;
    file.reset();
    if (committed || keep) return;
    for (const std::string& name : {temporary, partial}) remove_own(lock ? lock : descriptor, name);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[noreturn]] void fail(const std::string& object, const std::string& message) const {
    channel.check();
    const ErrorKind kind = h5_out_of_memory() ? ErrorKind::kMemory : ErrorKind::kStorage;
    throw Error(kind, message, ErrorPlace{.path = temporary, .dataset = object});
  }

  /// From here on the file is one that can be looked at; other writers stay out.
  static void let_read(const FileDescriptor& file) { ::flock(file.get(), LOCK_SH | LOCK_NB); }

  /// What an earlier writer left, unless it is at work.
  void remove_partial() const {
    const FileDescriptor earlier(uninterrupted(
        [&] { return ::open(partial.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW); }));
    if (!earlier) {
      if (errno == ENOENT) return;
      if (errno != ELOOP && errno != ENXIO) throw_errno("open", partial);
      ::unlink(partial.c_str());  // a link or a socket, which no writer has
      return;
    }
    lock_file(earlier, partial);
    remove_own(earlier, partial);
  }

  void make_parents(const std::string& object) {
    for (std::size_t slash = object.find('/', 1); slash != std::string::npos;
         slash = object.find('/', slash + 1)) {
      make_group(object.substr(0, slash));
    }
  }

  void make_group(const std::string& name) {
    if (name.empty() || name == "/" || H5Lexists(file.get(), name.c_str(), H5P_DEFAULT) > 0) return;
    const H5Properties creation(H5Pcreate(H5P_GROUP_CREATE));
    H5Pset_obj_track_times(creation.get(), false);
    const H5Group group(H5Gcreate2(file.get(), name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT));
    if (!group) fail(name, "the group cannot be created" + h5_reason());
  }

  H5Dataset create(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape, bool ahead) {
    PHASE0_CHECK(file && !streaming);
    make_parents(name);
    const std::vector<hsize_t> extent(shape.begin(), shape.end());
    const H5Space space(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr));
    const H5Properties creation(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(creation.get(), false);
    H5Pset_layout(creation.get(), H5D_CONTIGUOUS);
    if (ahead) {
      H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
      H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
    }
    H5Dataset dataset(
        H5Dcreate2(file.get(), name.c_str(), type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT));
    if (!dataset) fail(name, "the dataset cannot be created" + h5_reason());
    return dataset;
  }

  void write(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape, std::size_t n,
             const void* values) {
    const H5Session session;
    PHASE0_CHECK(count(shape) == static_cast<std::int64_t>(n));
    const H5Dataset dataset = create(name, type, shape, false);
    const H5Properties transfer = h5_transfer();
    if (n > 0 && H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, transfer.get(), values) < 0) {
      fail(name, "the dataset cannot be written" + h5_reason());
    }
    channel.check();
  }

  void attribute(const std::string& object, const std::string& name, hid_t type, hid_t space,
                 const void* values) {
    PHASE0_CHECK(file && !streaming);
    const H5Object owner(H5Oopen(file.get(), object.c_str(), H5P_DEFAULT));
    if (!owner) fail(object, "cannot be opened" + h5_reason());
    if (H5Aexists(owner.get(), name.c_str()) > 0) H5Adelete(owner.get(), name.c_str());
    const H5Attribute id(H5Acreate2(owner.get(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
    if (!id || (values != nullptr && H5Awrite(id.get(), type, values) < 0)) {
      fail(object, "attribute " + name + " cannot be written" + h5_reason());
    }
    channel.check();
  }

  /// Ends the time of HDF5: from here on the file opens, whatever happens to the streamed values.
  void close_file() {
    const H5Session session;
    if (H5Fflush(file.get(), H5F_SCOPE_GLOBAL) < 0) fail("", "cannot be flushed" + h5_reason());
    if (!file.reset()) fail("", "cannot be closed" + h5_reason());
    channel.check();
    commit_step(path, "metadata_closed");
    sync_file(descriptor, temporary);
    let_read(descriptor);
    commit_step(path, "metadata_synced");
  }

  /// Goes on with the partial file of an earlier writer when that has the very metadata of this one. If not,
  /// `earlier` keeps others out of it until it is replaced.
  bool adopt_partial(FileDescriptor& earlier) {
    struct stat status {};
    if (leftover == Leftover::kReplace || ::lstat(partial.c_str(), &status) != 0) return false;
    if (!S_ISREG(status.st_mode)) return false;  // not of ours
    earlier = open_file(partial, O_RDWR | O_NOFOLLOW);
    lock_file(earlier, partial);
    if (!has_name(earlier, partial)) return false;  // its writer has come to its end
    let_read(earlier);
    std::vector<ByteRange> ranges;
    for (const auto& [name, dataset] : declared) ranges.push_back({dataset.offset, dataset.bytes});
    if (!same_outside(descriptor, earlier, std::move(ranges), partial)) return false;
    // A copy may have lost what was reserved.
    if (allocated_bytes(earlier, partial) < declared_bytes()) return false;
    descriptor = std::move(earlier);
    ::unlink(temporary.c_str());
    temporary = partial;
    keep = true;
    return true;
  }

  std::int64_t declared_bytes() const {
    return std::accumulate(
        declared.begin(), declared.end(), std::int64_t{0}, [this](std::int64_t sum, const auto& entry) {
          return core::checked_add(sum, entry.second.bytes, temporary, ErrorKind::kStorage);
        });
  }

  void reserve() {
    const std::int64_t total = declared_bytes();
    // Asked first, so that the message has the total and no space is taken in vain.
    if (total > free_disk_bytes(temporary)) throw_disk_full(temporary, total);
    for (const auto& [name, dataset] : declared)
      reserve_range(descriptor, dataset.offset, dataset.bytes, temporary);
    sync_file(descriptor, temporary);
    commit_step(path, "reserved");
  }

  void sync() {
    final_attempt([this] { sync_file(descriptor, temporary); });
  }
  void close_descriptor() {
    final_attempt([this] { store::close_file(descriptor, temporary); });
  }

  template <class Attempt>
  void final_attempt(const Attempt& attempt) {
    try {
      attempt();
    } catch (...) {
      keep = false;  // nobody knows what of it is on the disk
      sync_failed = true;
      throw;
    }
  }
};

H5Writer::H5Writer(const std::string& path, Leftover leftover)
    : impl_(std::make_unique<Impl>(path, leftover)) {}
H5Writer::~H5Writer() = default;
H5Writer::H5Writer(H5Writer&&) noexcept = default;
H5Writer& H5Writer::operator=(H5Writer&&) noexcept = default;

void H5Writer::group(const std::string& path) {
  const H5Session session;
  PHASE0_CHECK(impl_->file);
  impl_->make_parents(path);
  impl_->make_group(path);
}

void H5Writer::attribute(const std::string& object, const std::string& name, const std::string& value) {
  const H5Session session;
  const char* text = value.c_str();
  impl_->attribute(object, name, string_type().get(), H5Space(H5Screate(H5S_SCALAR)).get(), &text);
}

void H5Writer::attribute(const std::string& object, const std::string& name, std::int64_t value) {
  const H5Session session;
  impl_->attribute(object, name, H5T_STD_I64LE, H5Space(H5Screate(H5S_SCALAR)).get(), &value);
}

void H5Writer::attribute(const std::string& object, const std::string& name, double value) {
  const H5Session session;
  impl_->attribute(object, name, H5T_IEEE_F64LE, H5Space(H5Screate(H5S_SCALAR)).get(), &value);
}

void H5Writer::attribute(const std::string& object, const std::string& name,
                         std::span<const std::int64_t> values) {
  const H5Session session;
  const hsize_t n = values.size();
  const H5Space space(H5Screate_simple(1, &n, nullptr));
  impl_->attribute(object, name, H5T_STD_I64LE, space.get(), values.empty() ? nullptr : values.data());
}

void H5Writer::write(const std::string& dataset, std::span<const float> values,
                     const std::vector<std::int64_t>& shape) {
  impl_->write(dataset, H5T_IEEE_F32LE, shape, values.size(), values.data());
}

void H5Writer::write(const std::string& dataset, std::span<const double> values,
                     const std::vector<std::int64_t>& shape) {
  impl_->write(dataset, H5T_IEEE_F64LE, shape, values.size(), values.data());
}

void H5Writer::write(const std::string& dataset, std::span<const std::int64_t> values,
                     const std::vector<std::int64_t>& shape) {
  impl_->write(dataset, H5T_STD_I64LE, shape, values.size(), values.data());
}

void H5Writer::write(const std::string& dataset, std::span<const std::uint8_t> values,
                     const std::vector<std::int64_t>& shape) {
  impl_->write(dataset, H5T_STD_U8LE, shape, values.size(), values.data());
}

void H5Writer::write(const std::string& dataset, std::span<const std::string> values) {
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const std::string& value : values) pointers.push_back(value.c_str());
  impl_->write(dataset, string_type().get(), {static_cast<std::int64_t>(values.size())}, pointers.size(),
               pointers.data());
}

void H5Writer::declare(const std::string& dataset, ElementType type, const std::vector<std::int64_t>& shape) {
  const H5Session session;
  PHASE0_CHECK(shape.size() == 1 || shape.size() == 2);
  Declared declared{.type = type, .rows = shape[0], .columns = shape.size() == 2 ? shape[1] : 1};
  declared.bytes = core::checked_mul(count(shape), element_size(type), dataset, ErrorKind::kStorage);
  const H5Dataset created = impl_->create(dataset, h5_type(type).get(), shape, true);
  if (declared.bytes > 0) {
    const haddr_t offset = H5Dget_offset(created.get());
    if (offset == HADDR_UNDEF) impl_->fail(dataset, "has no storage after it was created");
    declared.offset = static_cast<std::int64_t>(offset);
  }
  impl_->declared[dataset] = declared;
}

bool H5Writer::begin_streaming() {
  PHASE0_CHECK(impl_->file && !impl_->streaming);
  impl_->streaming = true;
  impl_->close_file();
  FileDescriptor earlier;
  if (impl_->adopt_partial(earlier)) return true;
  rename_durably(impl_->temporary, impl_->partial);
  impl_->temporary = impl_->partial;
  impl_->reserve();
  return false;
}

void H5Writer::sync() {
  PHASE0_CHECK(impl_->streaming && !impl_->sync_failed);
  if (impl_->descriptor) impl_->sync();  // commit() syncs before it closes, and may fail behind that
}

bool H5Writer::sync_failed() const {
  return impl_->sync_failed;
}

void H5Writer::keep_partial(bool keep) {
  PHASE0_CHECK(impl_->streaming);
  impl_->keep = keep && !impl_->sync_failed;
}

MappedDataset H5Writer::map(const std::string& dataset) {
  const auto found = impl_->declared.find(dataset);
  PHASE0_CHECK(impl_->descriptor && found != impl_->declared.end());
  const Declared& declared = found->second;
  MappedRegion region(impl_->temporary, declared.offset, declared.bytes, MapMode::kReadWrite,
                      ErrorKind::kStorage);
  return {std::move(region), declared.type, declared.rows, declared.columns};
}

void H5Writer::commit() {
  PHASE0_CHECK(!impl_->committed);
  if (!impl_->streaming) begin_streaming();
  commit_step(impl_->path, "streamed");
  impl_->sync();
  commit_step(impl_->path, "synced");
  impl_->lock = duplicate(impl_->descriptor, impl_->temporary);
  impl_->close_descriptor();
  rename_durably(impl_->temporary, impl_->path);
  impl_->committed = true;
  impl_->lock.reset();
}

}  // namespace phase0::store
