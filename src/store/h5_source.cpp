#include "store/h5_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace phase0::store {
namespace {

/// HDF5 counts cached metadata by its size in the file, a tenth of what index nodes take in memory, and lets
/// it grow to 32 MiB: with a file of many small datasets that is more than the values take.
void limit_metadata_cache(hid_t access) {
  constexpr std::size_t kCacheBytes = std::size_t{1} << 20;
  H5AC_cache_config_t config{};
  config.version = H5AC__CURR_CACHE_CONFIG_VERSION;
  if (H5Pget_mdc_config(access, &config) < 0) return;
  config.set_initial_size = true;
  config.initial_size = config.min_size = config.max_size = kCacheBytes;
  config.incr_mode = H5C_incr__off;
  config.flash_incr_mode = H5C_flash_incr__off;
  config.decr_mode = H5C_decr__off;
  H5Pset_mdc_config(access, &config);
}

H5File open_for_reading(const std::string& path, H5Channel& channel, ErrorKind damage) {
  const H5Properties access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  limit_metadata_cache(access.get());
  H5Pset_file_locking(access.get(), true, true);  // not on file systems that cannot lock
  channel.use(access);
  H5File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  // Asked here: closing `access` clears what HDF5 had to say.
  const std::string reason = file ? "" : h5_reason();
  channel.check();
  if (!file) throw Error(damage, "is not a readable HDF5 file" + reason, ErrorPlace{.path = path});
  return file;
}

struct Members {
  std::unordered_set<std::string> names;
  std::string other_link;  ///< the first member that is not a hard link
  std::string repeated;  ///< the first that is listed twice, by an index that leads to a part of itself twice
  bool misnamed = false;  ///< one has a name that leads elsewhere when it is looked up
  std::size_t room = 0;   ///< bytes that names may take: in a sound file they do not overlap
  bool too_long = false;  ///< a name is, or all are for a file of that size
};

herr_t add_member(hid_t, const char* name, const H5L_info_t* link, void* out) {
  auto& members = *static_cast<Members*>(out);
  try {
    const std::string_view text = name;
    members.misnamed = text.empty() || text == "." || text.find('/') != std::string_view::npos;
    // As many as HDF5 keeps of a large group of the newer formats.
    constexpr std::size_t kMostNameBytes = 4096;
    members.too_long = text.size() > std::min(members.room, kMostNameBytes);
    if (members.misnamed || members.too_long) return 1;
    members.room -= text.size();
    if (link->type != H5L_TYPE_HARD) {
      members.other_link = name;
      return 1;
    }
    if (!members.names.insert(name).second) {
      members.repeated = name;
      return 1;
    }
  } catch (...) {
    return -1;  // no exception may cross the C library
  }
  return 0;
}

constexpr const char* kOnlyHardLinks =
    "is a soft, external or user-defined link; only hard links are followed";

}  // namespace

H5Source::H5Source(std::string path, ErrorKind damage)
    : path_(std::move(path)),
      damage_(damage),
      descriptor_(open_regular_file(path_, damage_)),
      channel_(descriptor_, path_, damage_),
      superblock_(read_superblock(descriptor_, channel_.size(), path_, damage_)),
      headers_(descriptor_, channel_.size(), superblock_, path_, damage_),
      attribute_room_(most_memory()),
      heap_room_(most_memory()) {
  for (const std::uint64_t address : superblock_.headers) headers_.check(address, "/");
  const H5Session session;
  file_ = open_for_reading(path_, channel_, damage_);
}

std::int64_t H5Source::most_memory() const {
  constexpr std::int64_t kLeast = std::int64_t{16} << 20;
  constexpr std::int64_t kTimesFile = 16;
  constexpr std::int64_t kLargeFile = std::int64_t{1} << 40;
  return std::max(kLeast, kTimesFile * std::min(file_bytes(), kLargeFile));
}

void H5Source::fail(const std::string& object, const std::string& message) const {
  channel_.check();
  throw Error(damage_, message, ErrorPlace{.path = path_, .dataset = object});
}

bool H5Source::has_hard_link(hid_t group, const std::string& name, const std::string& path) const {
  const htri_t present = H5Lexists(group, name.c_str(), H5P_DEFAULT);
  if (present < 0) fail(path, "cannot be looked up" + h5_reason());
  if (present == 0) return false;
  H5L_info_t link{};
  if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0)
    fail(path, "has a damaged link" + h5_reason());
  if (link.type != H5L_TYPE_HARD) fail(path, kOnlyHardLinks);
  headers_.check(link.u.address, path);
  return true;
}

H5O_info_t H5Source::info_at(hid_t group, const std::string& name, const std::string& path) const {
  H5O_info_t info{};
  if (H5Oget_info_by_name2(group, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
    fail(path, "cannot be opened" + h5_reason());
  }
  return info;
}

std::optional<H5Source::Place> H5Source::locate(const std::string& object) const {
  const std::size_t last = object.find_last_not_of('/');
  if (last == std::string::npos) return Place{id(), "/"};
  const std::size_t slash = object.rfind('/', last);
  const std::size_t name_begin = slash == std::string::npos ? 0 : slash + 1;
  Place place{id(), object.substr(name_begin, last + 1 - name_begin)};
  const std::size_t parent_last = slash == std::string::npos ? slash : object.find_last_not_of('/', slash);
  if (parent_last == std::string::npos) return place;
  if (!open_parent(object.substr(0, parent_last + 1))) return std::nullopt;
  place.group = parent_.get();
  return place;
}

bool H5Source::open_parent(const std::string& group) const {
  if (parent_ && group == parent_name_) return true;
  H5Object opened;
  for (std::size_t begin = group.find_first_not_of('/'); begin < group.size();) {
    const std::size_t end = std::min(group.find('/', begin), group.size());
    const std::string name = group.substr(begin, end - begin);
    const std::string path = group.substr(0, end);
    const hid_t above = opened ? opened.get() : id();
    if (!has_hard_link(above, name, path)) return false;
    if (info_at(above, name, path).type != H5O_TYPE_GROUP) return false;
    H5Object next(H5Oopen(above, name.c_str(), H5P_DEFAULT));
    if (!next) fail(path, "cannot be opened" + h5_reason());
    opened = std::move(next);
    begin = group.find_first_not_of('/', end);
  }
  parent_ = std::move(opened);
  parent_name_ = group;
  return true;
}

bool H5Source::exists(const std::string& object) const {
  const H5Session session;
  const std::optional<Place> place = locate(object);
  return place && (place->name == "/" || has_hard_link(place->group, place->name, object));
}

H5O_info_t H5Source::object_info(const std::string& object) const {
  const H5Session session;
  if (!exists(object)) fail(object, "is missing");
  const std::optional<Place> place = locate(object);
  return info_at(place->group, place->name, object);
}

H5O_type_t H5Source::kind(const std::string& object) const {
  return object_info(object).type;
}

std::uint64_t H5Source::address(const std::string& object) const {
  return object_info(object).addr;
}

std::vector<std::string> H5Source::members(const std::string& group) const {
  const H5Session session;
  const H5Object object = open(group);
  if (kind(group) != H5O_TYPE_GROUP) fail(group, "is not a group");
  Members members;
  members.room = static_cast<std::size_t>(file_bytes());
  hsize_t next = 0;
  const herr_t result = H5Literate(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, &next, add_member, &members);
  if (members.misnamed) fail(group, "is damaged: a member's name is empty, \".\" or has a slash in it");
  if (members.too_long) fail(group, "has members whose names overlap or have thousands of bytes");
  if (!members.other_link.empty()) {
    fail((group == "/" ? "" : group) + "/" + members.other_link, kOnlyHardLinks);
  }
  if (result < 0) fail(group, "its members cannot be listed" + h5_reason());
  if (!members.repeated.empty()) fail(group, "is damaged: it has more than one member " + members.repeated);
  std::vector<std::string> names(members.names.begin(), members.names.end());
  std::sort(names.begin(), names.end());
  return names;
}

H5Object H5Source::open(const std::string& object) const {
  const H5Session session;
  if (!exists(object)) fail(object, "is missing");
  const std::optional<Place> place = locate(object);
  H5Object opened(H5Oopen(place->group, place->name.c_str(), H5P_DEFAULT));
  if (!opened) fail(object, "cannot be opened" + h5_reason());
  return opened;
}

}  // namespace phase0::store
