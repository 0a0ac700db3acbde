#include <fmt/format.h>

#include <algorithm>

#include "core/checked.h"
#include "core/text.h"
#include "data/latents_contents.h"

namespace phase0::data {
namespace {

std::string read_speaker(const store::H5Reader& file, const std::string& id) {
  const std::string group = "/" + id;
  if (!file.has_attribute(group, "speaker_id")) fail_data(file, group, "attribute speaker_id is missing", id);
  std::string speaker = file.read_name(group, "speaker_id");
  if (speaker.empty()) fail_data(file, group, "attribute speaker_id is empty", id);
  return speaker;
}

void check_like_first(const store::H5Reader& file, const LatentsContents& contents, const std::string& id,
                      const store::DatasetInfo& frames, bool has_energy) {
  const std::string& first = contents.utterances.front().id;
  const std::string name = "/" + id + "/x";
  if (frames.shape[1] != contents.dim) {
    fail_data(
        file, name,
        fmt::format("has latent dimension {}, utterance {} has {}", frames.shape[1], first, contents.dim),
        id);
  }
  const store::ElementType type = contents.codec.stored_type();
  if (*frames.type != type) {
    fail_data(file, name,
              fmt::format("is {}, utterance {} is {}", to_string(*frames.type), first, to_string(type)), id);
  }
  if (has_energy != contents.has_energy) {
    fail_data(file, "/" + id + "/energy",
              has_energy ? fmt::format("is there, but utterance {} has none", first)
                         : fmt::format("is missing, but utterance {} has it", first),
              id);
  }
}

void add_utterance(const store::H5Reader& file, const std::string& id, LatentsContents& contents) {
  const std::string group = "/" + id;
  if (!core::is_valid_utf8(id)) fail_data(file, "/", "holds a group whose name is not valid UTF-8");
  if (!file.is_group(group))
    fail_data(file, group, "is not a group: layout B has one group per utterance", id);
  std::string speaker = read_speaker(file, id);
  const store::DatasetInfo frames = check_frames(file, group + "/x", false);
  const bool has_energy = file.exists(group + "/energy");
  if (contents.utterances.empty()) {
    contents.dim = frames.shape[1];
    contents.codec = RowCodec(*frames.type, contents.dim);
    contents.has_energy = has_energy;
  } else {
    check_like_first(file, contents, id, frames, has_energy);
  }
  const std::int64_t n_frames = frames.shape[0];
  if (n_frames > kMaxUtteranceFrames) fail_data(file, group + "/x", "the utterance is too long", id);
  std::int64_t chunk_bytes = frames.chunk_row_bytes;
  if (has_energy) chunk_bytes += check_energy(file, group + "/energy", n_frames).chunk_row_bytes;
  contents.chunk_bytes = std::max(contents.chunk_bytes, chunk_bytes);
  contents.utterances.push_back({id, std::move(speaker), contents.n_frames, n_frames});
  contents.n_frames = core::checked_add(contents.n_frames, n_frames, file.path() + ": number of frames");
}

}  // namespace

LatentsContents read_layout_b(const store::H5Reader& file) {
  const std::vector<std::string> ids = file.members("/");
  if (ids.empty()) fail_data(file, "/", "holds neither a dataset /x nor a group per utterance");
  if (static_cast<std::int64_t>(ids.size()) > kMaxUtterances) fail_data(file, "/", "has too many utterances");
  LatentsContents contents;
  contents.utterances.reserve(ids.size());
  for (const std::string& id : ids) add_utterance(file, id, contents);
  core::checked_mul(contents.n_frames, contents.codec.row_bytes(), file.path() + ": size of all frames");
  return contents;
}

}  // namespace phase0::data
