#include "data/latents.h"

#include <algorithm>

#include "core/check.h"
#include "data/latents_contents.h"
#include "data/latents_values.h"
#include "store/h5_reader.h"

namespace phase0::data {

struct Latents::Impl {
  store::H5Reader file;
  LatentsContents contents;

  explicit Impl(const std::string& path) : file(path), contents(read_contents(file)) {}

  const Utterance& utterance(std::int64_t u) const {
    return contents.utterances[static_cast<std::size_t>(u)];
  }

  /// Calls read(u, first row inside utterance u, n, rows before it) for the parts of [first, first + n) in
  /// layout B.
  template <typename Read>
  void for_parts(std::int64_t first, std::int64_t n, Read read) const {
    std::int64_t done = 0;
    for (std::int64_t u = n > 0 ? contents.find(first) : 0; done < n; ++u) {
      const std::int64_t inside = first + done - utterance(u).offset;
      const std::int64_t part = std::min(n - done, utterance(u).n_frames - inside);
      read(u, inside, part, done);
      done += part;
    }
  }

  void read_energy(const std::string& dataset, std::int64_t first, std::int64_t n, float* out) const {
    const auto type = file.info(dataset).type.value();
    if (type == store::ElementType::kFloat32) return file.read_rows(dataset, type, first, n, out);
    std::vector<std::byte> stored(static_cast<std::size_t>(n * store::element_size(type)));
    file.read_rows(dataset, type, first, n, stored.data());
    to_float32(type, stored.data(), n, out);
  }
};

Latents::Latents() = default;
Latents::~Latents() = default;
Latents::Latents(Latents&&) noexcept = default;
Latents& Latents::operator=(Latents&&) noexcept = default;

Latents Latents::open(const std::string& path) {
  Latents latents;
  latents.impl_ = std::make_unique<Impl>(path);
  return latents;
}

const std::string& Latents::path() const {
  return impl_->file.path();
}
double Latents::frame_rate_hz() const {
  return impl_->contents.frame_rate_hz;
}
std::int64_t Latents::n_frames() const {
  return impl_->contents.n_frames;
}
std::int64_t Latents::dim() const {
  return impl_->contents.dim;
}
const RowCodec& Latents::codec() const {
  return impl_->contents.codec;
}
bool Latents::has_energy() const {
  return impl_->contents.has_energy;
}
const std::vector<Utterance>& Latents::utterances() const {
  return impl_->contents.utterances;
}
bool Latents::mappable() const {
  return impl_->contents.mappable;
}

store::MappedDataset Latents::map_frames() const {
  PHASE0_CHECK(mappable());
  return impl_->file.map("/x", codec().stored_type());
}

std::string Latents::frames_name(std::int64_t utterance) const {
  return impl_->contents.frames_name(utterance);
}
std::string Latents::energy_name(std::int64_t utterance) const {
  return impl_->contents.energy_name(utterance);
}
std::int64_t Latents::find(std::int64_t row) const {
  return impl_->contents.find(row);
}

std::int64_t Latents::read_bytes() const {
  // A chunk as stored, the same decoded and a row of chunks stand beside each other; two utterances' at most.
  return 3 * (impl_->contents.flat ? 1 : 2) * impl_->contents.chunk_bytes;
}

void Latents::read_frames(std::int64_t first, std::int64_t n, void* out) const {
  PHASE0_CHECK(first >= 0 && n >= 0 && first <= n_frames() && n <= n_frames() - first);
  if (impl_->contents.flat) return impl_->file.read_rows("/x", codec().stored_type(), first, n, out);
  const std::int64_t row_bytes = codec().row_bytes();
  impl_->for_parts(first, n,
                   [&](std::int64_t u, std::int64_t inside, std::int64_t part, std::int64_t before) {
                     impl_->file.read_rows(frames_name(u), codec().stored_type(), inside, part,
                                           static_cast<std::byte*>(out) + before * row_bytes);
                   });
}

void Latents::read_energy(std::int64_t first, std::int64_t n, float* out) const {
  PHASE0_CHECK(has_energy() && first >= 0 && n >= 0 && first <= n_frames() && n <= n_frames() - first);
  if (impl_->contents.flat) return impl_->read_energy("/energy", first, n, out);
  impl_->for_parts(first, n,
                   [&](std::int64_t u, std::int64_t inside, std::int64_t part, std::int64_t before) {
                     impl_->read_energy(energy_name(u), inside, part, out + before);
                   });
}

}  // namespace phase0::data
