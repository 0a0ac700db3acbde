#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "store/posix_file.h"

namespace phase0::store {

/// A file under a temporary name, which nobody else writes, until it is complete. Left uncommitted it is
/// removed, unless it is kept. Throws Error (kStorage), also when another process is about to write it.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const FileDescriptor& file() const { return file_; }
  const std::string& temporary() const { return temporary_; }
  /// Once all is written: fsyncs and closes.
  void finish();
  /// Behind finish(): renames to `path` and fsyncs the folder.
  void commit();
  void keep() { keep_ = true; }
  /// What was committed goes again.
  void take_back() noexcept { remove_own(lock_, path_); }

 private:
  std::string path_;
  std::string temporary_;
  FileDescriptor file_;
  FileDescriptor lock_;  ///< the same open file
  bool keep_ = false;
};

/// Writes into `file`, which is called `temporary`.
using WriteFile = std::function<void(const FileDescriptor& file, const std::string& temporary)>;
/// Lets `write` fill a file under a temporary name, fsyncs, renames to `path` and fsyncs the folder. Throws
/// Error (kStorage), also when another process is about to write it, or what `write` throws, with nothing
/// left of it.
void write_file_atomically(const std::string& path, const WriteFile& write);
/// The same, of `contents`.
void write_file_atomically(const std::string& path, std::string_view contents);

/// The whole file. Throws Error (kStorage) when it cannot be read or is larger than `max_bytes`.
std::string read_file(const std::string& path, std::int64_t max_bytes);

/// Removes a file, if it is there. Throws Error (kStorage).
void remove_file(const std::string& path);

/// Creates a folder and its parents, durably. Throws Error (kStorage).
void create_folders(const std::string& path);

/// Throws the Error (kStorage) that create_folders, or the first file in it, would meet, without creating
/// anything. What changes afterwards, and what only the attempt shows, it cannot know.
void check_can_create_folders(const std::string& path);

}  // namespace phase0::store
