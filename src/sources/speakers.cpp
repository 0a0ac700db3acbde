#include "sources/speakers.h"

#include <fmt/format.h>

#include <unordered_map>

#include "core/text.h"
#include "phase0/error.h"
#include "sources/text_lines.h"

namespace phase0::sources {

std::vector<std::string> read_speakers(const std::string& path, const std::vector<Sequence>& sequences) {
  std::unordered_map<std::string_view, std::size_t> index;
  index.reserve(sequences.size());
  for (std::size_t s = 0; s < sequences.size(); ++s) index.emplace(sequences[s].id, s);
  std::vector<std::string> speakers(sequences.size());
  for_lines(path, [&](std::string_view line, std::int64_t number) {
    if (trimmed(line).empty()) return;
    const std::string_view id = take_word(line);
    if (line.empty()) fail_line(path, number, "an id and a speaker were expected");
    if (!core::is_valid_utf8(line)) fail_line(path, number, "the speaker is not valid UTF-8");
    const auto found = index.find(id);
    if (found == index.end()) return;
    std::string& speaker = speakers[found->second];
    if (!speaker.empty() && speaker != line) {
      fail_line(path, number,
                fmt::format("sequence {} has speaker {} in an earlier line", core::clipped(id),
                            core::clipped(speaker)));
    }
    speaker = line;
  });
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    if (!speakers[s].empty()) continue;
    throw Error(ErrorKind::kData, "has no line for this sequence",
                {.path = path, .utterance = sequences[s].id});
  }
  return speakers;
}

std::vector<std::string> split_speakers(const std::string& separator,
                                        const std::vector<Sequence>& sequences) {
  std::vector<std::string> speakers;
  speakers.reserve(sequences.size());
  for (const Sequence& sequence : sequences) {
    const std::size_t end = sequence.id.find(separator);
    if (end == std::string::npos || end == 0) {
      throw Error(
          ErrorKind::kData,
          fmt::format("the id has no speaker before a \"{}\"; name the speakers in a file (--speakers)",
                      separator),
          {.utterance = sequence.id});
    }
    speakers.push_back(sequence.id.substr(0, end));
    if (!core::is_valid_utf8(speakers.back())) {
      throw Error(ErrorKind::kData, "the text before the separator is not valid UTF-8",
                  {.utterance = sequence.id});
    }
  }
  return speakers;
}

std::vector<std::string> speakers_of(const ImportOptions& options, const std::vector<Sequence>& sequences) {
  return options.speakers_file.empty() ? split_speakers(options.speaker_separator, sequences)
                                       : read_speakers(options.speakers_file, sequences);
}

bool is_file_stem(const std::string& id) {
  constexpr std::size_t kMaxNameBytes = 255;
  return !id.empty() && !id.starts_with('.') && id.find('/') == std::string::npos &&
         id.find('\0') == std::string::npos && id.size() + std::string_view(".npy").size() <= kMaxNameBytes;
}

}  // namespace phase0::sources
