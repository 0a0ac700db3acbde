#include "sources/open_source.h"

#include <filesystem>

#include "core/check.h"
#include "phase0/error.h"

namespace phase0::sources {
namespace {

SourceKind detect(const std::string& input) {
  std::error_code ignored;
  if (std::filesystem::is_directory(input, ignored)) return SourceKind::kNpyFolder;
  if (input.ends_with(".npz")) return SourceKind::kNpz;
  if (input.ends_with(".npy")) return SourceKind::kNpyLengths;
  if (input.ends_with(".ark") || input.ends_with(".scp")) return SourceKind::kKaldi;
  throw Error(ErrorKind::kConfig,
              "cannot tell from the name what this is; --from npy, npy-len, npz or kaldi says so",
              {.path = input});
}

std::unique_ptr<SequenceReader> open_as(SourceKind kind, const ImportOptions& options,
                                        const SourceRoom& room) {
  const std::string& input = options.input;
  switch (kind) {
    case SourceKind::kNpyFolder:
      return open_npy_folder(input, room);
    case SourceKind::kNpyLengths:
      return open_npy_lengths(input, lengths_path(options), options.ids_file, room);
    case SourceKind::kNpz:
      return open_npz(input, room);
    case SourceKind::kKaldi:
      if (input.ends_with(".ark")) return open_kaldi_ark(input, room);  // of text too, for its message
      return is_kaldi_ark(input) ? open_kaldi_ark(input, room) : open_kaldi_scp(input, room);
    case SourceKind::kAuto:
      break;
  }
  PHASE0_CHECK(false && "a kind that was detected");
  return nullptr;
}

}  // namespace

std::string lengths_path(const ImportOptions& options) {
  if (!options.lengths_file.empty()) return options.lengths_file;
  const std::string& input = options.input;
  return (input.ends_with(".npy") ? input.substr(0, input.size() - 4) : input) + ".len";
}

std::unique_ptr<SequenceReader> open_source(const ImportOptions& options, const SourceRoom& room) {
  const SourceKind kind = options.kind == SourceKind::kAuto ? detect(options.input) : options.kind;
  if (kind != SourceKind::kNpyLengths && !(options.lengths_file.empty() && options.ids_file.empty())) {
    throw Error(ErrorKind::kConfig, "--lengths and --ids belong to one .npy of all frames (--from npy-len)",
                {.path = options.input});
  }
  std::unique_ptr<SequenceReader> source = open_as(kind, options, room);
  check_alike(*source);
  return source;
}

}  // namespace phase0::sources
