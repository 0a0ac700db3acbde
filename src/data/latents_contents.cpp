#include "data/latents_contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace phase0::data {
namespace {

using store::ElementType;

constexpr const char* kFormat = "phase0-latents";

double read_frame_rate(const store::H5Reader& file) {
  if (!file.has_attribute("/", "frame_rate_hz")) fail_data(file, "/", "attribute frame_rate_hz is missing");
  const double rate = file.read_double("/", "frame_rate_hz");
  if (!std::isfinite(rate) || rate <= 0) {
    fail_data(file, "/", fmt::format("attribute frame_rate_hz is {}; it must be finite and above 0", rate));
  }
  return rate;
}

bool is_flat(const store::H5Reader& file) {
  const bool has_frames = file.exists("/x") && !file.is_group("/x");
  if (!file.has_attribute("/", "format")) return has_frames;
  const std::string format = file.read_string("/", "format");
  if (format == kFormat) return true;
  if (has_frames || format.starts_with("phase0-")) {
    fail_data(file, "/",
              fmt::format("attribute format is \"{}\"; \"{}\" was expected", core::clipped(format), kFormat));
  }
  return false;
}

void check_storage(const store::H5Reader& file, const std::string& dataset, const store::DatasetInfo& info) {
  if (info.contiguous && info.bytes > 0 && info.offset < 0) {
    fail_data(file, dataset, "was never written: it has no storage");
  }
}

void check_float(const store::H5Reader& file, const std::string& dataset, const store::DatasetInfo& info) {
  const bool is_float = info.type == ElementType::kFloat16 || info.type == ElementType::kFloat32 ||
                        info.type == ElementType::kFloat64;
  if (!is_float)
    fail_data(file, dataset, "has the wrong type: little-endian float16, float32 or float64 is read");
  check_storage(file, dataset, info);
}

}  // namespace

std::string LatentsContents::frames_name(std::int64_t utterance) const {
  return flat ? "/x" : "/" + utterances[static_cast<std::size_t>(utterance)].id + "/x";
}

std::string LatentsContents::energy_name(std::int64_t utterance) const {
  return flat ? "/energy" : "/" + utterances[static_cast<std::size_t>(utterance)].id + "/energy";
}

std::int64_t LatentsContents::find(std::int64_t row) const {
  const auto after = std::upper_bound(utterances.begin(), utterances.end(), row,
                                      [](std::int64_t r, const Utterance& u) { return r < u.offset; });
  return after - utterances.begin() - 1;
}

LatentsContents read_contents(const store::H5Reader& file) {
  const bool flat = is_flat(file);
  const double rate = read_frame_rate(file);
  LatentsContents contents = flat ? read_layout_a(file) : read_layout_b(file);
  contents.frame_rate_hz = rate;
  contents.flat = flat;
  return contents;
}

void fail_data(const store::H5Reader& file, const std::string& dataset, const std::string& message,
               const std::string& utterance) {
  throw Error(ErrorKind::kData, message,
              ErrorPlace{.path = file.path(), .dataset = dataset, .utterance = utterance});
}

store::DatasetInfo check_frames(const store::H5Reader& file, const std::string& dataset,
                                bool may_be_quantised) {
  store::DatasetInfo info = file.info(dataset);
  if (info.shape.size() != 2) {
    fail_data(file, dataset,
              fmt::format("has {} dimensions; [frames, latent dimension] was expected", info.shape.size()));
  }
  if (may_be_quantised && is_quantised(file, dataset)) {
    check_storage(file, dataset, info);
  } else {
    check_float(file, dataset, info);
  }
  if (info.shape[0] == 0) fail_data(file, dataset, "has no frames");
  if (info.shape[1] == 0) fail_data(file, dataset, "has latent dimension 0");
  return info;
}

store::DatasetInfo check_energy(const store::H5Reader& file, const std::string& dataset,
                                std::int64_t n_frames) {
  store::DatasetInfo info = file.info(dataset);
  if (info.shape.size() != 1) {
    fail_data(file, dataset, fmt::format("has {} dimensions; [frames] was expected", info.shape.size()));
  }
  check_float(file, dataset, info);
  if (info.shape[0] != n_frames) {
    fail_data(file, dataset, fmt::format("has {} values for {} frames", info.shape[0], n_frames));
  }
  return info;
}

}  // namespace phase0::data
