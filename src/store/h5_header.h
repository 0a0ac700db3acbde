#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "store/h5_bytes.h"
#include "store/h5_messages.h"

namespace phase0::store {

/// Checks the headers of objects before HDF5 decodes them (HDF5 File Format Specification 3.0, section IV).
/// HDF5 1.10 takes the counts, lengths and texts in a header's messages as they are, and one changed byte
/// lets it read outside its buffers. This one checks that every message keeps to its place and every chunk to
/// the file, that indexes of a group's members, and of chunks in version 1 (section III.A), do not lead back
/// to themselves, and that unfiltered chunks have the size their layout states, so that HDF5 only decodes
/// what is whole. Attributes in a heap of their own are refused, and so are the indexes of chunks since HDF5
/// 1.10.
class H5HeaderCheck {
 public:
  H5HeaderCheck(const FileDescriptor& file, std::int64_t file_bytes, const H5Superblock& superblock,
                const std::string& path, ErrorKind damage)
      : file_(file, file_bytes, superblock, path, damage) {}

  /// The header at `address`, those of the types that are kept elsewhere, and their indexes. One that was
  /// found to be sound is not looked into again: an object is looked up several times, and may have several
  /// names.
  void check(std::uint64_t address, const std::string& object);

 private:
  struct Chunk {
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
  };
  struct Walk {
    std::string object;
    H5Parts parts;                       ///< still to be looked into
    std::vector<std::uint64_t> headers;  ///< that were looked into
    std::vector<Chunk> chunks;           ///< of the header that is looked into
    std::set<std::uint64_t> seen;        ///< addresses of all
  };

  H5Fields::Subject subject(const Walk& walk) const { return file_.subject(walk.object); }
  std::vector<std::byte> read(const Walk& walk, std::uint64_t address, std::uint64_t n) {
    return file_.read(walk.object, address, n);
  }
  void check_header(Walk& walk, std::uint64_t address);
  void check_tree(Walk& walk, const H5Parts::Tree& tree);
  void check_symbols(Walk& walk, std::uint64_t address, std::uint64_t last_name);
  std::uint64_t last_name(Walk& walk, std::uint64_t heap);
  void check_messages(Walk& walk, H5Fields fields, unsigned version, unsigned flags) const;

  H5Bytes file_;
  std::unordered_set<std::uint64_t> sound_;  ///< addresses of headers
};

}  // namespace phase0::store
