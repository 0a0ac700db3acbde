#pragma once

#include <string>
#include <vector>

#include "phase0/convert.h"
#include "sources/sequence_reader.h"

namespace phase0::sources {

/// The speaker of each sequence, from a file of lines `ID SPEAKER` (Kaldi's utt2spk; ids that are no sequence
/// are passed over). Throws Error (kData) that names line or sequence.
std::vector<std::string> read_speakers(const std::string& path, const std::vector<Sequence>& sequences);

/// The text of each id up to the first `separator`. Throws Error (kData) for an id without one.
std::vector<std::string> split_speakers(const std::string& separator, const std::vector<Sequence>& sequences);

/// Of the two what `options` says.
std::vector<std::string> speakers_of(const ImportOptions& options, const std::vector<Sequence>& sequences);

/// Whether an id can be the stem of a file's name that import finds again.
bool is_file_stem(const std::string& id);

}  // namespace phase0::sources
