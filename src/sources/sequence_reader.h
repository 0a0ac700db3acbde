#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/element_type.h"

/// What people keep latents in, read without any library of theirs. Files may come from anywhere: every
/// length is checked against the file before it is believed, and nothing is executed.
namespace phase0::sources {

/// One sequence of frames, as its source describes it.
struct Sequence {
  std::string id;
  std::int64_t n_frames = 0;
  std::int64_t dim = 0;
  store::ElementType type = store::ElementType::kFloat32;  ///< float16, float32 or float64
};

/// A source of sequences, open for reading. Opening one checks everything but the values and throws Error
/// (kData; kStorage for what cannot be read) that names file and sequence. Not thread-safe.
class SequenceReader {
 public:
  virtual ~SequenceReader() = default;

  /// In the order in which they are to be stored. Ids are unique; dimensions and types may differ
  /// (check_alike).
  virtual const std::vector<Sequence>& sequences() const = 0;
  /// Frames [first, first + n) of a sequence, little-endian, into out [n, dim]. Any order works; from the
  /// first frame of the first sequence to the last of the last is quick for every source.
  virtual void read(std::int64_t sequence, std::int64_t first, std::int64_t n, void* out) = 0;
  /// The file that holds a sequence, for messages.
  virtual std::string path_of(std::int64_t sequence) const = 0;
  /// Memory that reading takes beside the caller's buffer, at most.
  virtual std::int64_t read_bytes() const = 0;
  /// What is worth a warning; empty when nothing is.
  virtual std::string warning() const { return {}; }
};

/// Throws Error (kData) unless there is a sequence, and all have an id that layout A can hold, frames, and
/// the first one's dimension and type.
void check_alike(const SequenceReader& source);

}  // namespace phase0::sources
