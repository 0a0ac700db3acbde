#include "run/encoded_latents.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/checked.h"
#include "phase0/error.h"
#include "store/h5_writer.h"

namespace phase0::run {
namespace {

constexpr std::int64_t kCopyBytes = std::int64_t{4} << 20;

}  // namespace

void write_latents(const std::string& path, const encoders::Manifest& manifest,
                   const encoders::StagedRows& staged, const encoders::Hello& hello, Observer& observer) {
  std::vector<std::size_t> sequences;
  std::vector<std::string> ids, speakers;
  std::vector<std::int64_t> offsets{0};
  for (const auto& [number, sequence] : staged.sequences()) {  // by number
    const encoders::ManifestEntry& entry = manifest.entries()[number];
    if (sequence.n_rows == 0) {
      observer.log(LogLevel::kWarning, fmt::format("{}: makes no frames, left out", entry.id));
      continue;
    }
    sequences.push_back(number);
    ids.push_back(entry.id);
    speakers.push_back(entry.speaker);
    offsets.push_back(core::checked_add(offsets.back(), sequence.n_rows));
  }
  if (sequences.empty()) throw Error(ErrorKind::kData, "no sequence makes frames", {.path = manifest.path()});
  store::H5Writer file(path);
  file.attribute("/", "format", std::string("phase0-latents"));
  file.attribute("/", "version", std::int64_t{1});
  file.attribute("/", "frame_rate_hz", hello.frame_rate_hz);
  const std::int64_t n = std::ssize(sequences);
  file.write("/utterances/id", ids);
  file.write("/utterances/speaker", speakers);
  file.write("/utterances/offset", std::span<const std::int64_t>(offsets), {n + 1});
  file.declare("/x", hello.dtype, {offsets.back(), hello.dim});
  file.begin_streaming();
  {
    store::MappedDataset x = file.map("/x");
    const std::int64_t most = std::max<std::int64_t>(1, kCopyBytes / hello.row_bytes());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (observer.stop_requested())
        throw Error(ErrorKind::kInterrupted, "interrupted; start again to resume");
      auto rows = staged.reader(sequences[i]);
      for (std::int64_t row = offsets[i]; rows.left() > 0;) {
        const std::int64_t count = std::min(most, rows.left());
        rows.read(count, x.mutable_row(row));
        x.flush(row, count);
        row += count;
      }
      rows.check();
    }
  }
  file.commit();
}

}  // namespace phase0::run
