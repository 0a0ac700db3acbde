#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "phase0/error.h"
#include "store/h5_driver.h"
#include "store/h5_handles.h"
#include "store/h5_header.h"
#include "store/h5_superblock.h"
#include "store/posix_file.h"

namespace phase0::store {

/// An HDF5 file open for reading, with the checks that concern its links and objects. HDF5 is given no object
/// whose header was not checked.
class H5Source {
 public:
  H5Source(std::string path, ErrorKind damage);

  const std::string& path() const { return path_; }
  ErrorKind damage() const { return damage_; }
  std::int64_t file_bytes() const { return channel_.size(); }
  hid_t id() const { return file_.get(); }
  /// A descriptor of the same file, for reads beside HDF5.
  const FileDescriptor& descriptor() const { return descriptor_; }
  /// Widths of addresses and lengths in the file, 4 or 8, and where its addresses count from.
  std::size_t address_bytes() const { return superblock_.address_bytes; }
  std::size_t length_bytes() const { return superblock_.length_bytes; }
  std::uint64_t base_address() const { return superblock_.base_address; }
  /// Stored size of a variable-length string's reference: length, address, index.
  std::size_t reference_bytes() const { return 8 + address_bytes(); }
  /// What is read whole takes no more memory than 16 MiB, or 16 times the file's size: a small file cannot
  /// ask for much.
  std::int64_t most_memory() const;
  /// Bytes that strings of attributes may yet take: many may refer to one long text.
  std::int64_t& attribute_room() const { return attribute_room_; }
  /// Bytes of heaps that may yet be read for strings (h5_heap.cpp). It grows with each string that is read.
  std::int64_t& heap_room() const { return heap_room_; }

  /// Throws an Error of the file's damage kind, or what failed when the file was read.
  [[noreturn]] void fail(const std::string& object, const std::string& message) const;

  /// Whether hard links lead to the object. Any other kind of link on the way is an Error.
  bool exists(const std::string& object) const;
  /// H5O_TYPE_GROUP, H5O_TYPE_DATASET, ... of an object that exists.
  H5O_type_t kind(const std::string& object) const;
  /// Where an object that exists lies in the file: one address however many links lead there.
  std::uint64_t address(const std::string& object) const;
  /// Names of a group's members in byte order.
  std::vector<std::string> members(const std::string& group) const;
  /// Opens an object that must exist.
  H5Object open(const std::string& object) const;

  /// Where an object that exists stands: its open parent group, and its name in there.
  struct Place {
    hid_t group = -1;
    std::string name;
  };
  /// Empty when no hard links lead to the object's parent group. Valid until the next call.
  std::optional<Place> locate(const std::string& object) const;

 private:
  bool has_hard_link(hid_t group, const std::string& name, const std::string& path) const;
  H5O_info_t info_at(hid_t group, const std::string& name, const std::string& path) const;
  H5O_info_t object_info(const std::string& object) const;
  /// Makes the group the one that was looked into last; false when no hard links lead there.
  bool open_parent(const std::string& group) const;

  std::string path_;
  ErrorKind damage_;
  FileDescriptor descriptor_;
  H5Channel channel_;
  H5Superblock superblock_;
  mutable H5HeaderCheck headers_;
  mutable std::int64_t attribute_room_;
  mutable std::int64_t heap_room_;
  H5File file_;
  /// The group that was looked into last: files with a group per utterance are asked many times about each.
  mutable std::string parent_name_;
  mutable H5Object parent_;
};

}  // namespace phase0::store
