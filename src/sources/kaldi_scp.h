#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sources/kaldi_matrix.h"

namespace phase0::sources {

/// A line of a script file, `ID FILE[:OFFSET][RANGE]`.
struct KaldiPointer {
  std::string id;
  std::string path;         ///< as it stands there: relative to the working directory, as in Kaldi
  std::int64_t offset = 0;  ///< of the matrix, behind the id that an archive puts before it
  KaldiRange rows, columns;
  bool has_range = false;
};

/// Throws Error (kData) at the line: for what does not parse, and for pipes and standard input, which are
/// never run or read.
KaldiPointer parse_scp_line(std::string_view line, const std::string& scp_path, std::int64_t number);

}  // namespace phase0::sources
