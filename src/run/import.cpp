#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "core/checked.h"
#include "core/execution.h"
#include "core/memory.h"
#include "data/latents_values.h"
#include "data/latents_writer.h"
#include "phase0/convert.h"
#include "run/conversion.h"
#include "run/import_encoded.h"
#include "sources/energies.h"
#include "sources/open_source.h"
#include "sources/speakers.h"
#include "store/file_system.h"

namespace phase0 {
namespace {

using store::ElementType;

std::vector<data::Utterance> name_utterances(const ImportOptions& options,
                                             const sources::SequenceReader& source) {
  const auto& sequences = source.sequences();
  std::vector<std::string> speakers = sources::speakers_of(options, sequences);
  std::vector<data::Utterance> utterances;
  utterances.reserve(sequences.size());
  std::int64_t offset = 0;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    utterances.push_back({sequences[s].id, std::move(speakers[s]), offset, sequences[s].n_frames});
    offset = core::checked_add(offset, sequences[s].n_frames, options.input + ": number of frames");
  }
  return utterances;
}

/// Streams the values of a source into a file. A block of rows is read straight into the map, looked at, and
/// flushed before the next.
class Import {
 public:
  Import(sources::SequenceReader& source, sources::Energies* energies, data::LatentsWriter& out,
         std::int64_t block_bytes, const run::Conversion& conversion)
      : source_(source), energies_(energies), out_(out), conversion_(conversion) {
    block_rows_ = std::max<std::int64_t>(block_bytes / out.frames().row_bytes(), 1);
  }

  void run() {
    const auto& sequences = source_.sequences();
    const core::TaskScope task(conversion_.observer(), "importing", out_.frames().rows());
    for (std::int64_t s = 0; s < std::ssize(sequences); ++s) {
      const std::int64_t n = sequences[static_cast<std::size_t>(s)].n_frames;
      for (std::int64_t first = 0; first < n;) {
        const std::int64_t rows = std::min(n - first, block_rows_ - (row_ - flushed_));
        take(s, first, rows);
        first += rows;
        if (row_ - flushed_ == block_rows_) flush();
      }
    }
    flush();
  }

 private:
  void take(std::int64_t s, std::int64_t first, std::int64_t rows) {
    store::MappedDataset& frames = out_.frames();
    std::byte* const to = frames.mutable_row(row_);
    source_.read(s, first, rows, to);
    check(s, first, source_.path_of(s), frames.type(), to, rows, frames.columns(), data::kLargestFrameValue);
    if (energies_ != nullptr) {
      float* const energy = out_.energy().mutable_data<float>() + row_;
      energies_->read(s, first, rows, energy);
      check(s, first, energies_->path_of(s), ElementType::kFloat32, reinterpret_cast<std::byte*>(energy),
            rows, 1, data::kLargestEnergy);
    }
    row_ += rows;
    conversion_.observer().task_advance(rows, rows * frames.row_bytes());
  }

  void check(std::int64_t s, std::int64_t first, const std::string& path, ElementType type,
             const std::byte* values, std::int64_t rows, std::int64_t columns, float largest) const {
    const std::int64_t found = data::first_unusable(type, values, rows * columns, largest);
    if (found == rows * columns) return;
    const std::byte* const value = values + found * store::element_size(type);
    throw Error(ErrorKind::kData,
                fmt::format("holds {} in dimension {}", data::describe_unusable(type, value, largest),
                            found % columns),
                {.path = path,
                 .utterance = source_.sequences()[static_cast<std::size_t>(s)].id,
                 .frame = first + found / columns});
  }

  void flush() {
    conversion_.check_stop();
    out_.frames().flush(flushed_, row_ - flushed_);
    if (energies_ != nullptr) out_.energy().flush(flushed_, row_ - flushed_);
    flushed_ = row_;
  }

  sources::SequenceReader& source_;
  sources::Energies* energies_;
  data::LatentsWriter& out_;
  const run::Conversion& conversion_;
  std::int64_t block_rows_ = 1;
  std::int64_t row_ = 0;      ///< rows that were read
  std::int64_t flushed_ = 0;  ///< and of those, on their way to the disk
};

/// What the list of sequences has no count of yet: names, their copies on the way to HDF5 included.
std::int64_t speaker_bytes(const std::vector<data::Utterance>& utterances) {
  std::int64_t bytes = 0;
  for (const data::Utterance& u : utterances) bytes += 3 * std::ssize(u.speaker);
  return bytes;
}

/// With --force nothing that is read may be what is written.
void refuse_inputs(const ImportOptions& options, const sources::SequenceReader& source,
                   const sources::Energies* energies) {
  if (::access(options.output.c_str(), F_OK) != 0) return;
  for (const std::string& path : {options.input, options.speakers_file, sources::lengths_path(options),
                                  options.ids_file, options.energy}) {
    if (!path.empty()) run::refuse_input(options.output, path);
  }
  for (std::int64_t s = 0; s < std::ssize(source.sequences()); ++s) {
    run::refuse_input(options.output, source.path_of(s));
    if (energies != nullptr) run::refuse_input(options.output, energies->path_of(s));
  }
}

/// What the output takes of memory because it lies in a file system in memory.
std::int64_t bytes_in_memory(const std::string& path, const data::LatentsShape& shape) {
  if (!store::lies_in_memory(store::parent_folder(path))) return 0;
  const std::int64_t row = shape.dim * store::element_size(shape.type) + (shape.energy ? 4 : 0);
  return core::checked_mul(shape.n_frames(), row, "frames");
}

}  // namespace

void ImportOptions::validate() const {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::kConfig, message); };
  if (input.empty() || output.empty()) refuse("an input and an output file must be named");
  if (!encoder.empty()) {
    if (frame_rate_hz != 0) refuse("--frame-rate: the encoder says it");
    if (kind != SourceKind::kAuto) refuse("--from: an encoder takes a folder of .wav or .txt files");
    if (!energy.empty()) refuse("--energy: an encoder gives none");
    if (!lengths_file.empty() || !ids_file.empty()) refuse("--lengths and --ids are of npy-len");
  } else if (!std::isfinite(frame_rate_hz) || frame_rate_hz <= 0) {
    refuse(fmt::format("the frame rate must be finite and above 0, got {}", frame_rate_hz));
  }
  if (speakers_file.empty() == speaker_separator.empty()) {
    refuse(
        fmt::format("{}: either --speakers FILE with lines `ID SPEAKER`, or --speaker-separator SEP, which "
                    "takes the text of each id up to the first SEP",
                    speakers_file.empty() ? "who speaks is not known" : "who speaks is said twice"));
  }
}

ConvertReport import_latents(const ImportOptions& options, Observer& observer) {
  options.validate();
  run::refuse_existing(options.output, options.replace);
  if (!options.encoder.empty()) return run::import_encoded(options, observer);
  run::Conversion conversion(options.memory, observer);
  const std::unique_ptr<sources::SequenceReader> source = sources::open_source(
      options, {.memory = conversion.memory(), .folder = store::parent_folder(options.output)});
  if (const std::string warning = source->warning(); !warning.empty()) {
    observer.log(LogLevel::kWarning, warning);
  }
  const sources::Sequence& first = source->sequences().front();
  data::LatentsShape shape{options.frame_rate_hz, first.dim, first.type, !options.energy.empty(),
                           name_utterances(options, *source)};
  std::optional<sources::Energies> energies;
  if (shape.energy) energies.emplace(options.energy, source->sequences());
  refuse_inputs(options, *source, energies ? &*energies : nullptr);
  const core::Reservation names(conversion.memory(), speaker_bytes(shape.utterances), "the speakers' names");
  const core::Reservation output(conversion.memory(), bytes_in_memory(options.output, shape),
                                 "output on tmpfs");
  const std::int64_t row_bytes = core::checked_mul(first.dim, store::element_size(first.type), "a frame");
  const std::int64_t beside =
      store::kMappedByFault + source->read_bytes() + (shape.energy ? sources::Energies::kReadBytes : 0);
  const std::int64_t block_bytes = conversion.block_bytes(row_bytes + (shape.energy ? 4 : 0), beside);
  const core::Reservation block(conversion.memory(), block_bytes + beside, "importing");
  data::LatentsWriter writer(options.output, shape);
  Import(*source, energies ? &*energies : nullptr, writer, block_bytes, conversion).run();
  writer.commit();
  return {std::ssize(shape.utterances), shape.n_frames(),    shape.dim,
          store::to_string(shape.type), shape.frame_rate_hz, shape.energy};
}

}  // namespace phase0
