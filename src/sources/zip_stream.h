#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "sources/zip_directory.h"

namespace phase0::sources {

/// The bytes of a member from its start on, unpacked as they are asked for: never more than that is held.
/// Throws Error (kData) that names the member.
class ZipStream {
 public:
  /// Both must outlive it.
  ZipStream(const InputFile& file, const ZipEntry& entry);

  std::int64_t position() const { return position_; }
  void read(std::int64_t n, void* out);
  void skip(std::int64_t n);
  /// Call at the end: nothing may be left, and the checksum must be right.
  void finish();

  /// Memory that it takes.
  static constexpr std::int64_t kBytes = std::int64_t{256} << 10;

 private:
  struct End {
    void operator()(z_stream* stream) const {
      inflateEnd(stream);
      delete stream;
    }
  };
  [[noreturn]] void fail(const std::string& why) const;
  void inflate_into(std::int64_t n, unsigned char* out);
  void fill();

  const InputFile& file_;
  const ZipEntry& entry_;
  std::int64_t position_ = 0;  ///< in the unpacked bytes
  std::int64_t taken_ = 0;     ///< of the packed bytes
  std::uint32_t crc_ = 0;
  bool ended_ = false;  ///< the packed bytes said so
  std::unique_ptr<z_stream, End> inflater_;
  std::vector<unsigned char> input_;
};

}  // namespace phase0::sources
