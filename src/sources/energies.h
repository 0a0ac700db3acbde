#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sources/npy_array.h"
#include "sources/sequence_reader.h"

namespace phase0::sources {

/// Energies per frame: a folder of ID.npy, each [T], or one .npy [T] of all sequences in order. float16 and
/// float64 become float32.
class Energies {
 public:
  /// Checks every length. Throws Error (kData, kStorage). `sequences` must outlive it.
  Energies(const std::string& path, const std::vector<Sequence>& sequences);
  void read(std::int64_t sequence, std::int64_t first, std::int64_t n, float* out);
  std::string path_of(std::int64_t sequence) const;

  /// Memory of read.
  static constexpr std::int64_t kReadBytes = std::int64_t{512} << 10;

 private:
  void open(std::int64_t sequence);

  std::string path_;
  const std::vector<Sequence>& sequences_;
  bool is_folder_;
  std::vector<std::int64_t> starts_;  ///< of the sequences in one file
  std::int64_t opened_ = -1;
  InputFile file_;
  NpyFrames values_;
};

}  // namespace phase0::sources
