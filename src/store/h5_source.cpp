#include "store/h5_source.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace phase0::store {
namespace {

H5File open_for_reading(const std::string& path, ErrorKind damage) {
  const H5Properties access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  H5Pset_file_locking(access.get(), true, true);  // not on file systems that cannot lock
  H5File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  // Asked here: closing `access` clears what HDF5 had to say.
  if (!file) throw Error(damage, "is not a readable HDF5 file" + h5_reason(), ErrorPlace{.path = path});
  return file;
}

bool same_file(int a, int b) {
  struct stat one {};
  struct stat other {};
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

struct Members {
  std::vector<std::string> names;
  std::string other_link;  ///< the first member that is not a hard link
};

herr_t add_member(hid_t, const char* name, const H5L_info_t* link, void* out) {
  auto& members = *static_cast<Members*>(out);
  try {
    if (link->type != H5L_TYPE_HARD) {
      members.other_link = name;
      return 1;
    }
    members.names.emplace_back(name);
  } catch (...) {
    return -1;  // no exception may cross the C library
  }
  return 0;
}

constexpr const char* kOnlyHardLinks =
    "is a soft, external or user-defined link; only hard links are followed";

}  // namespace

H5Source::H5Source(std::string path, ErrorKind damage) : path_(std::move(path)), damage_(damage) {
  const H5Session session;
  descriptor_ = open_regular_file(path_, damage_);
  bytes_ = file_size(descriptor_, path_);
  file_ = open_for_reading(path_, damage_);
  if (!same_file(descriptor_.get(), h5_descriptor(file_))) {
    throw Error(ErrorKind::kStorage, "was replaced while it was opened", ErrorPlace{.path = path_});
  }
}

void H5Source::fail(const std::string& object, const std::string& message) const {
  throw Error(damage_, message, ErrorPlace{.path = path_, .dataset = object});
}

bool H5Source::exists(const std::string& object) const {
  const H5Session session;
  std::size_t begin = 0;
  while (begin < object.size()) {
    if (object[begin] == '/') {
      ++begin;
      continue;
    }
    const std::size_t end = std::min(object.find('/', begin), object.size());
    const std::string prefix = object.substr(0, end);
    const htri_t present = H5Lexists(id(), prefix.c_str(), H5P_DEFAULT);
    if (present < 0) fail(prefix, "cannot be looked up" + h5_reason());
    if (present == 0) return false;
    H5L_info_t link{};
    if (H5Lget_info(id(), prefix.c_str(), &link, H5P_DEFAULT) < 0)
      fail(prefix, "has a damaged link" + h5_reason());
    if (link.type != H5L_TYPE_HARD) fail(prefix, kOnlyHardLinks);
    if (end < object.size() && kind(prefix) != H5O_TYPE_GROUP) return false;
    begin = end;
  }
  return true;
}

H5O_type_t H5Source::kind(const std::string& object) const {
  const H5Session session;
  H5O_info_t info{};
  if (H5Oget_info_by_name2(id(), object.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
    fail(object, "cannot be opened" + h5_reason());
  }
  return info.type;
}

std::vector<std::string> H5Source::members(const std::string& group) const {
  const H5Session session;
  const H5Object object = open(group);
  if (kind(group) != H5O_TYPE_GROUP) fail(group, "is not a group");
  Members members;
  hsize_t next = 0;
  const herr_t result = H5Literate(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, &next, add_member, &members);
  if (!members.other_link.empty()) {
    fail((group == "/" ? "" : group) + "/" + members.other_link, kOnlyHardLinks);
  }
  if (result < 0) fail(group, "its members cannot be listed" + h5_reason());
  std::sort(members.names.begin(), members.names.end());
  return std::move(members.names);
}

H5Object H5Source::open(const std::string& object) const {
  const H5Session session;
  if (!exists(object)) fail(object, "is missing");
  H5Object opened(H5Oopen(id(), object.c_str(), H5P_DEFAULT));
  if (!opened) fail(object, "cannot be opened" + h5_reason());
  return opened;
}

}  // namespace phase0::store
