#include "sources/energies.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "data/latents_values.h"
#include "sources/speakers.h"

namespace phase0::sources {

Energies::Energies(const std::string& path, const std::vector<Sequence>& sequences)
    : path_(path), sequences_(sequences) {
  std::error_code ignored;
  is_folder_ = std::filesystem::is_directory(path, ignored);
  if (is_folder_) {
    for (std::int64_t s = 0; s < std::ssize(sequences); ++s) open(s);
    return;
  }
  std::int64_t total = 0;
  for (const Sequence& sequence : sequences) {
    starts_.push_back(total);
    total += sequence.n_frames;
  }
  file_ = InputFile(path);
  values_ = NpyFrames(file_, 0, file_.size(), 1, "");
  if (values_.n_frames() != total) {
    file_.fail(fmt::format("holds {} energies for {} frames", values_.n_frames(), total));
  }
}

std::string Energies::path_of(std::int64_t sequence) const {
  return is_folder_ ? path_ + "/" + sequences_[static_cast<std::size_t>(sequence)].id + ".npy" : path_;
}

void Energies::open(std::int64_t sequence) {
  if (sequence == opened_) return;
  opened_ = -1;
  const Sequence& expected = sequences_[static_cast<std::size_t>(sequence)];
  if (!is_file_stem(expected.id)) {
    throw Error(ErrorKind::kData, "the id cannot be the name of a file of energies",
                {.path = path_, .utterance = expected.id});
  }
  file_ = InputFile(path_of(sequence));
  values_ = NpyFrames(file_, 0, file_.size(), 1, expected.id);
  if (values_.n_frames() != expected.n_frames) {
    file_.fail(fmt::format("holds {} energies for {} frames", values_.n_frames(), expected.n_frames), -1,
               expected.id);
  }
  opened_ = sequence;
}

void Energies::read(std::int64_t sequence, std::int64_t first, std::int64_t n, float* out) {
  if (is_folder_) open(sequence);
  const std::int64_t start = is_folder_ ? 0 : starts_[static_cast<std::size_t>(sequence)];
  const std::int64_t together = kReadBytes / store::element_size(store::ElementType::kFloat64);
  std::vector<std::byte> stored(static_cast<std::size_t>(std::min(n, together)) * sizeof(double));
  for (std::int64_t done = 0; done < n; done += together) {
    const std::int64_t count = std::min(together, n - done);
    values_.read(file_, start + first + done, count, stored.data());
    data::to_float32(values_.type(), stored.data(), count, out + done);
  }
}

}  // namespace phase0::sources
