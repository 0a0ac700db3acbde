#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/aligned_buffer.h"
#include "core/checked.h"
#include "core/execution.h"
#include "core/memory.h"
#include "data/latents.h"
#include "data/latents_writer.h"
#include "phase0/convert.h"
#include "run/conversion.h"
#include "run/export_folder.h"
#include "sources/npy_header.h"
#include "sources/speakers.h"
#include "store/atomic_file.h"
#include "store/posix_file.h"

namespace phase0 {
namespace {

using data::Latents;
using data::Utterance;
using store::ElementType;
using std::string_view_literals::operator""sv;

constexpr std::string_view kNpy = ".npy";
constexpr std::string_view kEnergy = ".energy.npy";

[[noreturn]] void refuse(const Latents& latents, const std::string& id, const std::string& why) {
  throw Error(ErrorKind::kData, why, {.path = latents.path(), .utterance = id});
}

/// Lines `ID SPEAKER` are to be read back as the same two names.
void check_names(const Latents& latents, bool as_files) {
  constexpr std::string_view kBreaks("\n\r\0", 3);
  for (const Utterance& u : latents.utterances()) {
    if (as_files && !sources::is_file_stem(u.id)) {
      refuse(latents, u.id, "the id cannot be the name of a file; --single writes one file for all");
    }
    if (u.id.find_first_of(" \t") != std::string::npos || u.id.find_first_of(kBreaks) != std::string::npos) {
      refuse(latents, u.id, "an id with blanks or line breaks cannot stand in a list of speakers");
    }
    const bool padded =
        u.speaker.find_first_of(" \t") == 0 || u.speaker.find_last_of(" \t") == u.speaker.size() - 1;
    if (padded || u.speaker.find_first_of(kBreaks) != std::string::npos) {
      refuse(latents, u.id, "a speaker with line breaks or outer blanks cannot stand in a list of speakers");
    }
  }
}

/// Appends text to a file in pieces.
class TextFile {
 public:
  TextFile(const store::FileDescriptor& file, std::string path) : file_(file), path_(std::move(path)) {}
  void add(std::string_view text) {
    held_ += text;
    if (std::ssize(held_) >= kPieceBytes) flush();
  }
  void flush() {
    store::write_exactly(file_, at_, std::ssize(held_), held_.data(), path_);
    at_ += std::ssize(held_);
    held_.clear();
  }

 private:
  static constexpr std::int64_t kPieceBytes = std::int64_t{64} << 10;
  const store::FileDescriptor& file_;
  std::string path_;
  std::string held_;
  std::int64_t at_ = 0;
};

/// Quantised frames leave as what they stand for.
ElementType exported_type(const Latents& latents) {
  return latents.codec().quantised() ? ElementType::kFloat32 : latents.codec().stored_type();
}

/// Writes runs of rows as .npy files, and lists of utterances.
class Export {
 public:
  Export(const Latents& latents, run::Conversion& conversion)
      : latents_(latents),
        conversion_(conversion),
        row_bytes_(latents.dim() * store::element_size(exported_type(latents))),
        block_bytes_(conversion.block_bytes(std::max<std::int64_t>(row_bytes_, 4), other_bytes(latents))),
        memory_(conversion.memory(), block_bytes_ + other_bytes(latents), "exporting"),
        buffer_(block_bytes_) {}

  void frames(std::int64_t begin, std::int64_t n, const store::FileDescriptor& file,
              const std::string& path) {
    array(exported_type(latents_), {n, latents_.dim()}, file, path,
          [&](std::int64_t first, std::int64_t rows) {
            read(begin + first, rows);
            conversion_.observer().task_advance(rows, rows * row_bytes_);
          });
  }

  void energies(std::int64_t begin, std::int64_t n, const store::FileDescriptor& file,
                const std::string& path) {
    array(ElementType::kFloat32, {n}, file, path, [&](std::int64_t first, std::int64_t rows) {
      latents_.read_energy(begin + first, rows, reinterpret_cast<float*>(buffer_.data()));
    });
  }

  /// A line per utterance.
  template <typename Line>
  void list(const store::FileDescriptor& file, const std::string& path, const Line& line) const {
    TextFile out(file, path);
    for (const Utterance& u : latents_.utterances()) out.add(line(u) + "\n");
    out.flush();
  }

 private:
  static constexpr std::int64_t kCodesAtOnce = std::int64_t{64} << 10;
  static std::int64_t other_bytes(const Latents& latents) {
    return latents.read_bytes() +
           (latents.codec().quantised() ? std::max(kCodesAtOnce, latents.codec().row_bytes()) : 0);
  }

  /// Frames into the buffer, as exported_type.
  void read(std::int64_t first, std::int64_t n) {
    const data::RowCodec& codec = latents_.codec();
    if (!codec.quantised()) return latents_.read_frames(first, n, buffer_.data());
    const std::int64_t together = std::max<std::int64_t>(kCodesAtOnce / codec.row_bytes(), 1);
    codes_.resize(together * codec.row_bytes());
    for (std::int64_t done = 0; done < n; done += together) {
      const std::int64_t rows = std::min(together, n - done);
      latents_.read_frames(first + done, rows, codes_.data());
      codec.decode_rows(codes_.data(), rows, reinterpret_cast<float*>(buffer_.data() + done * row_bytes_));
    }
  }

  template <typename Read>
  void array(ElementType type, const std::vector<std::int64_t>& shape, const store::FileDescriptor& file,
             const std::string& path, const Read& read) {
    const std::string header = sources::npy_header(type, shape);
    store::write_exactly(file, 0, std::ssize(header), header.data(), path);
    const std::int64_t row = (shape.size() > 1 ? shape[1] : 1) * store::element_size(type);
    const std::int64_t together = std::max<std::int64_t>(block_bytes_ / row, 1);
    for (std::int64_t first = 0; first < shape[0]; first += together) {
      conversion_.check_stop();
      const std::int64_t rows = std::min(together, shape[0] - first);
      read(first, rows);
      store::write_exactly(file, std::ssize(header) + first * row, rows * row, buffer_.data(), path);
    }
  }

  const Latents& latents_;
  run::Conversion& conversion_;
  std::int64_t row_bytes_;
  std::int64_t block_bytes_;
  core::Reservation memory_;
  core::AlignedBuffer<std::byte> buffer_;
  core::AlignedBuffer<std::byte> codes_;  ///< of quantised frames
};

std::string speaker_line(const Utterance& u) {
  return u.id + " " + u.speaker;
}

void export_folder(const Latents& latents, const std::string& path, Export& out) {
  run::ExportFolder folder(path);
  for (const Utterance& u : latents.utterances()) {
    folder.write(u.id + std::string(kNpy), [&](const store::FileDescriptor& file, const std::string& name) {
      out.frames(u.offset, u.n_frames, file, name);
    });
  }
  if (latents.has_energy()) {
    folder.make("energy");
    for (const Utterance& u : latents.utterances()) {
      folder.write("energy/" + u.id + std::string(kNpy),
                   [&](const store::FileDescriptor& file, const std::string& name) {
                     out.energies(u.offset, u.n_frames, file, name);
                   });
    }
  }
  folder.write("speakers.txt", [&](const store::FileDescriptor& file, const std::string& name) {
    out.list(file, name, speaker_line);
  });
  folder.commit();
}

using AtomicFiles = std::vector<std::unique_ptr<store::AtomicFile>>;

/// The files of one .npy, written and synced, with NAME.npy in front.
AtomicFiles write_single(const Latents& latents, const std::string& stem, Export& out) {
  using store::FileDescriptor;
  AtomicFiles files;
  const auto add = [&](std::string_view suffix, const store::WriteFile& write) {
    files.push_back(std::make_unique<store::AtomicFile>(stem + std::string(suffix)));
    write(files.back()->file(), files.back()->temporary());
    files.back()->finish();
  };
  const auto list = [&](std::string_view suffix, const auto& line) {
    add(suffix, [&](const FileDescriptor& file, const std::string& name) { out.list(file, name, line); });
  };
  const std::int64_t n = latents.n_frames();
  add(kNpy, [&](const FileDescriptor& file, const std::string& name) { out.frames(0, n, file, name); });
  if (latents.has_energy()) {
    add(kEnergy,
        [&](const FileDescriptor& file, const std::string& name) { out.energies(0, n, file, name); });
  }
  list(".len", [](const Utterance& u) { return std::to_string(u.n_frames); });
  list(".ids", [](const Utterance& u) { return u.id; });
  list(".speakers", speaker_line);
  return files;
}

void check_single_output(const ExportOptions& options, const std::string& stem) {
  for (const std::string_view suffix : {kNpy, kEnergy, ".len"sv, ".ids"sv, ".speakers"sv}) {
    const std::string name = stem + std::string(suffix);
    run::refuse_existing(name, options.replace);
    run::refuse_input(name, options.input);
  }
}

/// NAME.npy is the first that goes and the last that comes: who finds it finds the others of the same export.
void export_single(const Latents& latents, const ExportOptions& options, Export& out) {
  const std::string stem = options.output.substr(0, options.output.size() - kNpy.size());
  check_single_output(options, stem);
  const AtomicFiles files = write_single(latents, stem, out);
  check_single_output(options, stem);  // hours may have passed
  if (options.replace) {
    store::sync_parent_folder(stem);  // where this cannot be done, nothing is to go
    // When what is there is gone and the new cannot be renamed, it stays under its temporary names.
    for (const auto& file : files) file->keep();
    for (const std::string_view suffix : {kNpy, kEnergy}) store::remove_file(stem + std::string(suffix));
    store::sync_parent_folder(stem);
  }
  try {
    for (auto file = files.rbegin(); file != files.rend(); ++file) (*file)->commit();
  } catch (...) {
    for (const auto& file : files) {
      if (!options.replace) file->take_back();
    }
    throw;
  }
}

}  // namespace

void ExportOptions::validate() const {
  if (input.empty() || output.empty()) {
    throw Error(ErrorKind::kConfig, "latents and an output must be named");
  }
  if (single && (!output.ends_with(kNpy) || output.size() == kNpy.size())) {
    throw Error(ErrorKind::kConfig, "with --single the output's name must end with .npy", {.path = output});
  }
}

ConvertReport export_latents(const ExportOptions& options, Observer& observer) {
  options.validate();
  run::Conversion conversion(options.memory, observer);
  const Latents latents = Latents::open(options.input);
  check_names(latents, !options.single);
  const core::Reservation index(conversion.memory(), data::latents_index_bytes(latents.utterances()),
                                "the list of sequences");
  const core::TaskScope task(observer, "exporting", latents.n_frames());
  Export out(latents, conversion);
  if (options.single) {
    export_single(latents, options, out);
  } else {
    export_folder(latents, options.output, out);
  }
  return {std::ssize(latents.utterances()),         latents.n_frames(),      latents.dim(),
          store::to_string(exported_type(latents)), latents.frame_rate_hz(), latents.has_energy()};
}

}  // namespace phase0
