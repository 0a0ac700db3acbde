#include "sources/sequence_reader.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>

#include "core/text.h"
#include "data/latents_contents.h"
#include "phase0/error.h"

namespace phase0::sources {
namespace {

bool is_usable_id(std::string_view id) {
  return !id.empty() && core::is_valid_utf8(id) && core::first_control_character(id) == std::string::npos;
}

std::string why_unlike(const Sequence& sequence, const Sequence& first) {
  if (!is_usable_id(sequence.id)) return "the id must be UTF-8 without control characters, and not empty";
  if (sequence.n_frames < 1) return "has no frames";
  if (sequence.n_frames > data::kMaxUtteranceFrames) return "is too long";
  if (sequence.dim < 1) return "has frames without values";
  if (sequence.dim != first.dim) {
    return fmt::format("has {} values per frame, sequence {} has {}", sequence.dim, core::clipped(first.id),
                       first.dim);
  }
  if (sequence.type != first.type) {
    return fmt::format("is {}, sequence {} is {}; all must be alike", to_string(sequence.type),
                       core::clipped(first.id), to_string(first.type));
  }
  return {};
}

}  // namespace

void check_alike(const SequenceReader& source) {
  const std::vector<Sequence>& all = source.sequences();
  if (all.empty()) throw Error(ErrorKind::kData, "holds no sequence", {.path = source.path_of(-1)});
  if (std::ssize(all) > data::kMaxUtterances) {
    throw Error(ErrorKind::kData, "holds too many sequences", {.path = source.path_of(-1)});
  }
  std::unordered_map<std::string_view, std::size_t> seen;
  seen.reserve(all.size());
  for (std::size_t s = 0; s < all.size(); ++s) {
    std::string why = why_unlike(all[s], all.front());
    if (why.empty() && !seen.emplace(all[s].id, s).second) why = "the id occurs twice";
    if (why.empty()) continue;
    const auto index = static_cast<std::int64_t>(s);
    throw Error(ErrorKind::kData, why, {.path = source.path_of(index), .utterance = all[s].id});
  }
}

}  // namespace phase0::sources
