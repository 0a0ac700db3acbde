#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/latents.h"
#include "store/h5_reader.h"

namespace phase0::data {

/// What is learnt of a latents file when it is opened.
struct LatentsContents {
  double frame_rate_hz = 0;
  std::int64_t n_frames = 0;
  std::int64_t dim = 0;
  RowCodec codec;  ///< of the frames
  bool has_energy = false;
  bool flat = false;      ///< layout A
  bool mappable = false;  ///< layout A, contiguous, not float64, aligned
  std::vector<Utterance> utterances;
  std::int64_t chunk_bytes =
      0;  ///< the largest row of chunks of the frames and that of the energies, added up

  /// `/x` or `/ID/x`.
  std::string frames_name(std::int64_t utterance) const;
  std::string energy_name(std::int64_t utterance) const;
  /// The utterance that holds row `row` of all frames.
  std::int64_t find(std::int64_t row) const;
};

/// Layout A when the file says so or has a dataset /x, layout B otherwise. Throws Error (kData).
LatentsContents read_contents(const store::H5Reader& file);
LatentsContents read_layout_a(const store::H5Reader& file);
LatentsContents read_layout_b(const store::H5Reader& file);

[[noreturn]] void fail_data(const store::H5Reader& file, const std::string& dataset,
                            const std::string& message, const std::string& utterance = "");
/// Frames [T, D] of a float type or quantised, D >= 1, with storage.
store::DatasetInfo check_frames(const store::H5Reader& file, const std::string& dataset,
                                bool may_be_quantised);
/// Energies [T] of a float type, with storage.
store::DatasetInfo check_energy(const store::H5Reader& file, const std::string& dataset,
                                std::int64_t n_frames);

/// Longest utterance and most utterances that the int32 columns of features.h5 can number.
inline constexpr std::int64_t kMaxUtterances = 0x7fffffff;
inline constexpr std::int64_t kMaxUtteranceFrames = 0x7fffffff;

}  // namespace phase0::data
