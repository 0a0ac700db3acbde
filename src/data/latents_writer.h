#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/latents.h"
#include "store/h5_writer.h"

namespace phase0::data {

/// What a latents file of layout A holds beside its values.
struct LatentsShape {
  double frame_rate_hz = 0;
  std::int64_t dim = 0;
  store::ElementType type = store::ElementType::kFloat32;  ///< float16, float32 or float64
  bool energy = false;
  std::vector<Utterance> utterances;  ///< offsets increase from 0 without gaps

  std::int64_t n_frames() const;
};

/// Writes a latents file of layout A, which appears complete or not at all: everything but the values at
/// once, the values through maps. Throws Error (kStorage).
class LatentsWriter {
 public:
  LatentsWriter(const std::string& path, const LatentsShape& shape);
  store::MappedDataset& frames() { return frames_; }  ///< [T, D]
  store::MappedDataset& energy() { return energy_; }  ///< [T] float32; empty without energies
  void commit();

 private:
  store::H5Writer file_;
  store::MappedDataset frames_, energy_;
};

/// Memory that a shape takes while its file is written.
std::int64_t latents_index_bytes(const std::vector<Utterance>& utterances);

}  // namespace phase0::data
