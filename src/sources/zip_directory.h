#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sources/input_file.h"
#include "sources/sequence_list.h"

namespace phase0::sources {

/// A member of a zip archive, where it lies and what it should unpack to.
struct ZipEntry {
  std::string name;
  bool deflated = false;  ///< else stored
  std::uint32_t crc = 0;
  std::int64_t data = 0;  ///< offset of its bytes in the file
  std::int64_t packed_bytes = 0;
  std::int64_t bytes = 0;
};

/// The members of an archive (APPNOTE 6.3, ZIP64 included) in the order of its directory. Throws Error
/// (kData) for what is damaged, encrypted, in several parts or packed by another method, and for the makings
/// of a bomb: members that overlap, and one that claims more than deflate can hold. `list` is told of the
/// members before they are read, and throws kMemory for more than there is room for.
std::vector<ZipEntry> read_zip_directory(const InputFile& file, SequenceList& list);

}  // namespace phase0::sources
