#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/execution.h"
#include "core/scan_need.h"
#include "data/row_codec.h"
#include "phase0/options.h"
#include "store/mapped.h"

namespace phase0::data {

/// One sequence of the input. Frames are rows [offset, offset + n_frames) of the file's frames.
struct Utterance {
  std::string id;
  std::string speaker;  ///< integers in decimal
  std::int64_t offset = 0;
  std::int64_t n_frames = 0;
};

/// Of an utterance in the tables that hold them: names, speaker, place and rows, as read and as written.
inline constexpr std::int64_t kUtteranceBytes = 512;

/// A latents file of layout A or B (data/FORMAT.md), open for reading. `open` checks everything but the
/// values. Not thread-safe.
class Latents {
 public:
  /// Throws Error (kData) that names file, dataset, utterance and frame; kStorage when the file cannot be
  /// read.
  static Latents open(const std::string& path);
  ~Latents();
  Latents(Latents&&) noexcept;
  Latents& operator=(Latents&&) noexcept;

  const std::string& path() const;
  double frame_rate_hz() const;
  std::int64_t n_frames() const;  ///< T
  std::int64_t dim() const;       ///< D
  /// How the frames are kept.
  const RowCodec& codec() const;
  bool has_energy() const;
  /// File order in layout A, byte order of the id in layout B.
  const std::vector<Utterance>& utterances() const;

  /// Whether the frames can be used in place: layout A, contiguous, aligned to its element, not float64.
  bool mappable() const;
  /// The mapped frames, as codec() keeps them; only when mappable().
  store::MappedDataset map_frames() const;

  /// Rows [first, first + n) of the frames as codec() keeps them into `out`, codec().row_bytes() each.
  void read_frames(std::int64_t first, std::int64_t n, void* out) const;
  /// Energies [first, first + n) as float32; only with has_energy().
  void read_energy(std::int64_t first, std::int64_t n, float* out) const;

  /// Memory that reading takes beside the caller's buffer (decoded chunks), at most. Reads in row order
  /// decode no chunk twice, whatever their length.
  std::int64_t read_bytes() const;
  /// Names of the datasets that hold an utterance, for messages.
  std::string frames_name(std::int64_t utterance) const;
  std::string energy_name(std::int64_t utterance) const;
  /// The utterance that holds row `row` of the frames.
  std::int64_t find(std::int64_t row) const;

 private:
  Latents();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One pass over every value. Returns per utterance 1 for those that hold a NaN or an infinity in frames or
/// energy (all 0 under NonFinitePolicy::kError, which throws Error (kData) at the first one, naming dataset,
/// utterance, frame). Every value must be finite as float32 too: a float64 that overflows counts as
/// non-finite, and so does a frame's value beyond kLargestFrameValue (latents_values.h). Quantised frames
/// cannot hold such a value, as their tables do not, and are not gone through.
std::vector<std::uint8_t> find_non_finite(const Latents& latents, NonFinitePolicy policy,
                                          core::Execution& execution);

/// Memory of find_non_finite.
core::ScanNeed check_need(const Latents& latents);
std::int64_t check_blocks(const Latents& latents);

/// How frames are staged: as they are, but float64 as float32.
RowCodec staged_codec(const Latents& latents);
/// Streams the frames from row `begin` on into `out`, as staged_codec() keeps them. `finish(first, n)`
/// follows every block of rows, for the caller to flush them.
void stage_frames(const Latents& latents, std::int64_t begin, store::MappedDataset& out,
                  core::Execution& execution,
                  const std::function<void(std::int64_t first, std::int64_t n)>& finish);
/// Memory of stage_frames.
std::int64_t staging_bytes(const Latents& latents);

}  // namespace phase0::data
