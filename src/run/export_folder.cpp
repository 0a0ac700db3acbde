#include "run/export_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "phase0/error.h"
#include "store/posix_file.h"

namespace phase0::run {
namespace {

/// In a folder that is not finished: nobody else's is ever removed.
constexpr const char* kMark = "/.phase0-export";

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

void refuse_in_the_way(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  std::error_code ignored;
  if (S_ISDIR(status.st_mode) && std::filesystem::is_empty(path, ignored)) return;
  throw Error(ErrorKind::kConfig, "is there already; an export goes to a new or an empty folder",
              {.path = path});
}

/// The mark is the last that goes: whatever is left is still known as ours.
void remove_partial(const std::string& partial) {
  const auto is_mark = [](const auto& entry) { return "/" + entry.path().filename().string() == kMark; };
  for (const auto& entry : std::filesystem::directory_iterator(partial)) {
    if (!is_mark(entry)) std::filesystem::remove_all(entry.path());
  }
  for (const auto& entry : std::filesystem::directory_iterator(partial)) {
    if (!is_mark(entry)) store::throw_errno("remove", partial, ENOTEMPTY);  // it came, or came back
  }
  std::filesystem::remove(partial + kMark);
  std::filesystem::remove(partial);
}

/// What an export that was killed left.
void remove_leftover(const std::string& partial) {
  struct stat status {};
  if (::lstat(partial.c_str(), &status) != 0) return;
  if (S_ISDIR(status.st_mode) && ::rmdir(partial.c_str()) == 0)
    return;  // it had no mark yet, or not any more
  if (::lstat((partial + kMark).c_str(), &status) != 0) {
    throw Error(ErrorKind::kConfig, "is in the way, and is not of an earlier export", {.path = partial});
  }
  const store::FileDescriptor mark = store::open_file(partial + kMark, O_RDONLY);
  store::lock_file(mark, partial);
  if (!store::has_name(mark, partial + kMark)) return;  // that export has come to its end
  try {
    remove_partial(partial);
  } catch (const std::filesystem::filesystem_error& error) {
    store::throw_errno("remove", partial, error.code().value());
  }
}

}  // namespace

ExportFolder::ExportFolder(const std::string& path)
    : path_(without_slash(path)), partial_(path_ + ".partial") {
  refuse_in_the_way(path_);
  remove_leftover(partial_);
  if (::mkdir(partial_.c_str(), 0777) != 0) store::throw_errno("create folder", partial_);
  try {
    folder_ = store::open_file(partial_, O_RDONLY | O_DIRECTORY);
    mark_ = store::open_file(partial_ + kMark, O_WRONLY | O_CREAT | O_EXCL);
    store::lock_file(mark_, partial_);
    if (!store::has_name(mark_, partial_ + kMark)) {
      throw Error(ErrorKind::kStorage, "is in use by another process", {.path = partial_});
    }
  } catch (...) {
    if (folder_ && store::has_name(folder_, partial_)) ::rmdir(partial_.c_str());
    throw;
  }
}

ExportFolder::~ExportFolder() {
  if (committed_) return;
  try {
    if (store::has_name(mark_, partial_ + kMark)) remove_partial(partial_);
  } catch (const std::exception&) {
    return;  // the next export removes it
  }
}

void ExportFolder::make(const std::string& subfolder) {
  const std::string folder = partial_ + "/" + subfolder;
  if (::mkdir(folder.c_str(), 0777) != 0) store::throw_errno("create folder", folder);
}

void ExportFolder::write(const std::string& name, const store::WriteFile& fill) {
  const std::string path = partial_ + "/" + name;
  store::FileDescriptor file = store::open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  fill(file, path);
  store::close_file(file, path);
}

void ExportFolder::commit() {
  // One for all files: an fsync of each takes a second for every hundred or two.
  if (::syncfs(folder_.get()) != 0) store::throw_errno("sync", partial_);
  store::rename_durably(partial_, path_);
  committed_ = true;
  store::remove_file(path_ + kMark);
}

}  // namespace phase0::run
