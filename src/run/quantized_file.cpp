#include "run/quantized_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/aligned_buffer.h"
#include "data/latents_values.h"

namespace phase0::run {
namespace {

/// What `read` gives; nothing where the attribute is of another kind.
template <typename Read>
auto attempt(const Read& read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

QuantizedFile::QuantizedFile(const std::string& path, const std::string& input_path,
                             const data::RowInput& input, const data::Latents* latents)
    : input_path_(input_path), input_(input), latents_(latents), file_(path) {}

void QuantizedFile::begin(const data::RowCodec& codec) {
  if (latents_ != nullptr) {
    copy_attributes();
    file_.attribute("/", "format", std::string("phase0-latents"));
    file_.attribute("/", "version", std::int64_t{1});
    file_.attribute("/", "frame_rate_hz", latents_->frame_rate_hz());
    write_utterances();
    if (latents_->has_energy()) {
      file_.declare("/energy", store::ElementType::kFloat32, {latents_->n_frames()});
    }
  }
  data::declare_rows(file_, input_.dataset(), codec, input_.n_rows());
  file_.begin_streaming();
  rows_ = file_.map(input_.dataset());
}

void QuantizedFile::copy_attributes() {
  const store::H5Reader from(input_path_);
  for (const std::string& name : from.attribute_names("/")) copy_attribute(from, name);
}

void QuantizedFile::copy_attribute(const store::H5Reader& from, const std::string& name) {
  if (const auto text = attempt([&] { return from.read_string("/", name); })) {
    file_.attribute("/", name, *text);
  } else if (const auto whole = attempt([&] { return from.read_ints("/", name); })) {
    if (whole->size() == 1) {
      file_.attribute("/", name, whole->front());
    } else {
      file_.attribute("/", name, *whole);
    }
  } else if (const auto real = attempt([&] { return from.read_double("/", name); })) {
    file_.attribute("/", name, *real);
  } else {
    dropped_attributes_.push_back(name);
  }
}

void QuantizedFile::write_utterances() {
  std::vector<std::string> ids;
  std::vector<std::string> speakers;
  std::vector<std::int64_t> offsets = {0};
  for (const data::Utterance& utterance : latents_->utterances()) {
    ids.push_back(utterance.id);
    speakers.push_back(utterance.speaker);
    offsets.push_back(utterance.offset + utterance.n_frames);
  }
  file_.write("/utterances/id", ids);
  file_.write("/utterances/speaker", speakers);
  file_.write("/utterances/offset", offsets, {std::ssize(offsets)});
}

void QuantizedFile::copy_energy(core::Execution& execution) {
  if (latents_ == nullptr || !latents_->has_energy()) return;
  constexpr std::int64_t kRows = kCopyBytes / 8;  // the pages written take as much as the buffer
  const core::Reservation memory(execution.memory, kCopyBytes + latents_->read_bytes(), "energies");
  store::MappedDataset out = file_.map("/energy");
  for (std::int64_t first = 0; first < out.rows(); first += kRows) {
    execution.check_stop();
    const std::int64_t n = std::min(kRows, out.rows() - first);
    float* energies = out.mutable_data<float>() + first;
    latents_->read_energy(first, n, energies);
    const auto* bytes = reinterpret_cast<const std::byte*>(energies);
    const std::int64_t bad =
        data::first_unusable(store::ElementType::kFloat32, bytes, n, data::kLargestEnergy);
    if (bad < n) {
      ErrorPlace place = input_.place(first + bad);
      place.dataset = latents_->energy_name(latents_->find(first + bad));
      throw Error(ErrorKind::kData,
                  "holds " + data::describe_unusable(store::ElementType::kFloat32, bytes + 4 * bad,
                                                     data::kLargestEnergy),
                  place);
    }
    out.flush(first, n);
  }
}

}  // namespace phase0::run
