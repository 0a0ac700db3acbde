#include <fmt/format.h>

#include <string_view>
#include <unordered_map>

#include "data/latents_contents.h"

namespace phase0::data {
namespace {

constexpr const char* kIds = "/utterances/id";
constexpr const char* kSpeakers = "/utterances/speaker";
constexpr const char* kOffsets = "/utterances/offset";

void check_version(const store::H5Reader& file) {
  if (!file.has_attribute("/", "version")) fail_data(file, "/", "attribute version is missing");
  if (const std::int64_t version = file.read_int("/", "version"); version != 1) {
    fail_data(file, "/", fmt::format("attribute version is {}; only version 1 is known", version));
  }
}

void check_ids(const store::H5Reader& file, const std::vector<std::string>& ids) {
  std::unordered_map<std::string_view, std::size_t> rows;
  rows.reserve(ids.size());
  for (std::size_t u = 0; u < ids.size(); ++u) {
    if (ids[u].empty()) fail_data(file, kIds, fmt::format("row {} is an empty id", u));
    const auto [other, is_new] = rows.emplace(ids[u], u);
    if (!is_new)
      fail_data(file, kIds, fmt::format("duplicate id in rows {} and {}", other->second, u), ids[u]);
  }
}

void check_offsets(const store::H5Reader& file, const std::vector<std::int64_t>& offsets,
                   const std::vector<std::string>& ids, std::int64_t n_frames) {
  if (offsets.size() != ids.size() + 1) {
    fail_data(file, kOffsets,
              fmt::format("has {} values for {} utterances; one more than utterances was expected",
                          offsets.size(), ids.size()));
  }
  if (offsets[0] != 0) fail_data(file, kOffsets, fmt::format("starts at {}, not at 0", offsets[0]));
  for (std::size_t u = 0; u < ids.size(); ++u) {
    if (offsets[u + 1] <= offsets[u]) {
      fail_data(file, kOffsets,
                fmt::format("is not increasing: {} after {} in row {}", offsets[u + 1], offsets[u], u + 1),
                ids[u]);
    }
    if (offsets[u + 1] > n_frames) {
      fail_data(file, kOffsets,
                fmt::format("row {} is {}, but /x has {} frames", u + 1, offsets[u + 1], n_frames), ids[u]);
    }
    if (offsets[u + 1] - offsets[u] > kMaxUtteranceFrames)
      fail_data(file, kOffsets, "the utterance is too long", ids[u]);
  }
  if (offsets.back() != n_frames) {
    fail_data(file, kOffsets, fmt::format("ends at {}, but /x has {} frames", offsets.back(), n_frames));
  }
}

std::vector<Utterance> read_utterances(const store::H5Reader& file, std::int64_t n_frames) {
  std::vector<std::string> ids = file.read_string_dataset(kIds);
  std::vector<std::string> speakers = file.read_name_dataset(kSpeakers);
  const std::vector<std::int64_t> offsets = file.read_int_dataset(kOffsets);
  for (const char* dataset : {kSpeakers, kOffsets}) {
    if (file.info(dataset).shape.size() != 1) fail_data(file, dataset, "is not 1-d");
  }
  if (static_cast<std::int64_t>(ids.size()) > kMaxUtterances)
    fail_data(file, kIds, "has too many utterances");
  if (speakers.size() != ids.size()) {
    fail_data(file, kSpeakers, fmt::format("has {} values for {} utterances", speakers.size(), ids.size()));
  }
  check_ids(file, ids);
  check_offsets(file, offsets, ids, n_frames);
  std::vector<Utterance> utterances;
  utterances.reserve(ids.size());
  for (std::size_t u = 0; u < ids.size(); ++u) {
    if (speakers[u].empty()) fail_data(file, kSpeakers, fmt::format("row {} is an empty name", u), ids[u]);
    utterances.push_back(
        {std::move(ids[u]), std::move(speakers[u]), offsets[u], offsets[u + 1] - offsets[u]});
  }
  return utterances;
}

}  // namespace

LatentsContents read_layout_a(const store::H5Reader& file) {
  check_version(file);
  const store::DatasetInfo frames = check_frames(file, "/x", true);
  LatentsContents contents;
  contents.n_frames = frames.shape[0];
  contents.codec =
      is_quantised(file, "/x") ? read_quantised(file, "/x") : RowCodec(*frames.type, frames.shape[1]);
  contents.dim = contents.codec.dim();
  contents.chunk_bytes = frames.chunk_row_bytes;
  contents.mappable = frames.contiguous && frames.type != store::ElementType::kFloat64 &&
                      frames.offset % store::element_size(*frames.type) == 0;
  contents.has_energy = file.exists("/energy");
  if (contents.has_energy) {
    contents.chunk_bytes += check_energy(file, "/energy", contents.n_frames).chunk_row_bytes;
  }
  contents.utterances = read_utterances(file, contents.n_frames);
  return contents;
}

}  // namespace phase0::data
