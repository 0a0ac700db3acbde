#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phase0/observer.h"
#include "phase0/options.h"

/// Other formats into latents files of layout A (data/FORMAT.md) and back. Values pass through unchanged:
/// float16, float32 and float64 stay what they are, bit for bit.
namespace phase0 {

enum class SourceKind {
  kAuto,        ///< by the name: a folder, *.npy, *.npz, *.ark, *.scp
  kNpyFolder,   ///< a folder of ID.npy, each [T, D]
  kNpyLengths,  ///< one .npy [T, D] of all frames and a text file of lengths
  kNpz,         ///< one array [T, D] per sequence
  kKaldi,       ///< an archive of binary matrices, or a script file that points into archives
};

struct ImportOptions {
  std::string input;
  SourceKind kind = SourceKind::kAuto;
  std::string output;        ///< the latents file, layout A
  double frame_rate_hz = 0;  ///< frames a second; none of the formats says, but an encoder does: then 0

  /// Program and arguments (data/ENCODER.md) that makes the frames of a folder of sounds ID.wav or texts
  /// ID.txt, an item a line. Not with `kind`, `energy` or what belongs to kNpyLengths. Empty: none.
  std::vector<std::string> encoder;

  /// Who speaks: a file of lines `ID SPEAKER`, or the text of the id up to the first `speaker_separator`.
  /// Exactly one of the two.
  std::string speakers_file;
  std::string speaker_separator;

  std::string lengths_file;  ///< of kNpyLengths; empty: the input with .len for .npy
  std::string ids_file;      ///< of kNpyLengths: one id a line; empty: STEM-0, STEM-1, ...
  /// Energies: a folder of ID.npy, each [T], or one .npy for all frames in order. Empty: none.
  std::string energy;

  bool replace = false;  ///< an output that exists
  MemoryOptions memory;

  /// Throws Error (kConfig) that names what is missing or out of range.
  void validate() const;
};

struct ExportOptions {
  std::string input;  ///< latents of layout A or B
  /// A folder that is made, and must not hold anything yet: ID.npy each, speakers.txt (lines `ID SPEAKER`),
  /// and energy/ID.npy when there are energies. With `single` a file NAME.npy of all frames, beside it
  /// NAME.len, NAME.ids, NAME.speakers and NAME.energy.npy.
  std::string output;
  bool single = false;
  bool replace = false;  ///< files that exist, with `single`
  MemoryOptions memory;

  void validate() const;
};

struct ConvertReport {
  std::int64_t n_utterances = 0;
  std::int64_t n_frames = 0;
  std::int64_t dim = 0;
  std::string type;  ///< float16, float32 or float64
  double frame_rate_hz = 0;
  bool energy = false;
};

/// Streams a source into a latents file, which appears complete or not at all. NaN, infinity and values that
/// collect would refuse are refused with sequence and frame. What an encoder has made is kept in a folder
/// beside the output when it ends early, for the next start to go on from. Throws Error.
ConvertReport import_latents(const ImportOptions& options, Observer& observer);

/// Writes latents as .npy files. The folder appears complete or not at all, and so does each file of
/// `single`. Throws Error.
ConvertReport export_latents(const ExportOptions& options, Observer& observer);

}  // namespace phase0
