#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::test {

enum class LatentsType { kFloat16, kFloat32, kFloat64 };

/// A small latents file: float values that float16 holds exactly.
struct LatentsFile {
  std::vector<std::string> ids = {"b-utt", "a-utt", "c-utt"};  // not sorted
  std::vector<std::string> speakers = {"s2", "s1", "s2"};
  std::vector<std::int64_t> lengths = {5, 3, 9};
  std::int64_t dim = 4;
  LatentsType type = LatentsType::kFloat32;
  bool energy = true;
  RawLayout layout = {};  ///< of x; its chunk is also used for energy, first entry only

  std::int64_t n_frames() const {
    std::int64_t n = 0;
    for (const std::int64_t length : lengths) n += length;
    return n;
  }
  static float value(std::int64_t row, std::int64_t column) {
    return static_cast<float>(row) * 0.5F - static_cast<float>(column) * 2.0F;
  }
  static float energy_value(std::int64_t row) { return static_cast<float>(row) * 0.25F + 1.0F; }

  hid_t h5_type() const {
    if (type == LatentsType::kFloat16) return RawH5File::half_type();
    return H5Tcopy(type == LatentsType::kFloat32 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE);
  }
  std::int64_t value_bytes() const {
    return type == LatentsType::kFloat16 ? 2 : type == LatentsType::kFloat32 ? 4 : 8;
  }

  void store(float value, std::byte* to) const {
    const double wide = value;
    if (type == LatentsType::kFloat64) std::memcpy(to, &wide, sizeof(wide));
    if (type == LatentsType::kFloat32) std::memcpy(to, &value, sizeof(value));
    if (type == LatentsType::kFloat16) {
      const hid_t half = RawH5File::half_type();
      std::byte both[4];
      std::memcpy(both, &value, sizeof(value));
      H5Tconvert(H5T_NATIVE_FLOAT, half, 1, both, nullptr, H5P_DEFAULT);
      std::memcpy(to, both, 2);
      H5Tclose(half);
    }
  }

  /// Frames [first, first + n) as they are stored.
  std::vector<std::byte> frames(std::int64_t first, std::int64_t n) const {
    std::vector<std::byte> bytes(static_cast<std::size_t>(n * dim * value_bytes()));
    for (std::int64_t i = 0; i < n * dim; ++i)
      store(value(first + i / dim, i % dim), bytes.data() + i * value_bytes());
    return bytes;
  }
  std::vector<float> energies(std::int64_t first, std::int64_t n) const {
    std::vector<float> values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(energy_value(first + i));
    return values;
  }
  RawLayout energy_layout() const {
    RawLayout result = layout;
    if (!result.chunk.empty()) result.chunk = std::vector<std::int64_t>(1, layout.chunk[0]);
    return result;
  }

  using Edit = std::function<void(RawH5File&)>;

  /// Layout A; `edit` changes the file before it is closed.
  void write_a(const std::string& path, const Edit& edit = nullptr) const {
    RawH5File file(path);
    file.attribute("/", "format", "phase0-latents");
    file.attribute("/", "version", std::int64_t{1});
    file.attribute("/", "frame_rate_hz", 12.5);
    const hid_t stored = h5_type();
    file.dataset("/x", stored, {n_frames(), dim}, frames(0, n_frames()).data(), layout);
    H5Tclose(stored);
    if (energy) {
      file.dataset("/energy", H5T_IEEE_F32LE, {n_frames()}, energies(0, n_frames()).data(), energy_layout());
    }
    file.strings("/utterances/id", ids);
    file.strings("/utterances/speaker", speakers);
    std::vector<std::int64_t> offsets(ids.size() + 1, 0);
    std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1);
    file.ints("/utterances/offset", offsets);
    if (edit) edit(file);
  }

  /// Layout B; the values are those of layout A in the order of `ids`.
  void write_b(const std::string& path, const Edit& edit = nullptr) const {
    RawH5File file(path);
    file.attribute("/", "frame_rate_hz", 12.5);
    const hid_t stored = h5_type();
    std::int64_t first = 0;
    for (std::size_t u = 0; u < ids.size(); ++u) {
      const std::string group = "/" + ids[u];
      file.dataset(group + "/x", stored, {lengths[u], dim}, frames(first, lengths[u]).data(), layout);
      if (energy) {
        file.dataset(group + "/energy", H5T_IEEE_F32LE, {lengths[u]}, energies(first, lengths[u]).data(),
                     energy_layout());
      }
      file.attribute(group, "speaker_id", speakers[u]);
      first += lengths[u];
    }
    H5Tclose(stored);
    if (edit) edit(file);
  }

  /// Layout A (`flat`) or B as `latents.h5` of a folder; gives its path.
  std::string write_in(const TemporaryFolder& folder, bool flat, const Edit& edit = nullptr) const {
    std::string path = folder.file("latents.h5");
    if (flat) {
      write_a(path, edit);
    } else {
      write_b(path, edit);
    }
    return path;
  }
};

}  // namespace phase0::test
