#include "data/latents_writer.h"

#include "core/check.h"

namespace phase0::data {
namespace {

using store::ElementType;

void write_utterances(store::H5Writer& file, const std::vector<Utterance>& utterances) {
  std::vector<std::string> names;
  std::vector<std::int64_t> offsets = {0};
  names.reserve(utterances.size());
  offsets.reserve(utterances.size() + 1);
  for (const Utterance& u : utterances) {
    PHASE0_CHECK(u.offset == offsets.back() && u.n_frames > 0);
    names.push_back(u.id);
    offsets.push_back(u.offset + u.n_frames);
  }
  file.write("/utterances/id", names);
  for (std::size_t u = 0; u < names.size(); ++u) names[u] = utterances[u].speaker;
  file.write("/utterances/speaker", names);
  file.write("/utterances/offset", offsets, {std::ssize(offsets)});
}

}  // namespace

std::int64_t LatentsShape::n_frames() const {
  return utterances.empty() ? 0 : utterances.back().offset + utterances.back().n_frames;
}

LatentsWriter::LatentsWriter(const std::string& path, const LatentsShape& shape) : file_(path) {
  file_.attribute("/", "format", "phase0-latents");
  file_.attribute("/", "version", std::int64_t{1});
  file_.attribute("/", "frame_rate_hz", shape.frame_rate_hz);
  write_utterances(file_, shape.utterances);
  file_.declare("/x", shape.type, {shape.n_frames(), shape.dim});
  if (shape.energy) file_.declare("/energy", ElementType::kFloat32, {shape.n_frames()});
  file_.begin_streaming();
  frames_ = file_.map("/x");
  if (shape.energy) energy_ = file_.map("/energy");
}

void LatentsWriter::commit() {
  frames_ = {};
  energy_ = {};
  file_.commit();
}

std::int64_t latents_index_bytes(const std::vector<Utterance>& utterances) {
  // The names themselves, their copies on the way to HDF5, and what it makes of them.
  constexpr std::int64_t kNameCopies = 3;
  constexpr std::int64_t kEachBytes = 256;
  std::int64_t bytes = 0;
  for (const Utterance& u : utterances) {
    bytes += kEachBytes + kNameCopies * (std::ssize(u.id) + std::ssize(u.speaker));
  }
  return bytes;
}

}  // namespace phase0::data
