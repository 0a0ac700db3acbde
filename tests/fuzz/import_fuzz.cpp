#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "data/latents_contents.h"
#include "harness.h"
#include "sources/npy_array.h"
#include "sources/open_source.h"
#include "sources/speakers.h"

/// Bytes as what `phase0 import` reads. The first byte says as what; make_corpus.py writes the same.
namespace phase0::fuzz {
namespace {

using sources::SequenceReader;

/// For lists of sequences and unpacked arrays.
constexpr std::int64_t kBudgetBytes = core::MemoryBudget::kBaseBytes + (std::int64_t{32} << 20);
/// Frames of more are read in part, as those of a bomb, and rows that are longer not at all.
constexpr std::int64_t kMostBytes = std::int64_t{2} << 20;
/// Rows of a sequence that are read alone, each of which may unpack all before it.
constexpr std::int64_t kAlone = 8;

std::int64_t row_bytes(const sources::Sequence& sequence) {
  return sequence.dim * store::element_size(sequence.type);
}

/// The first `n` frames in one piece, and some of them again from the last to the first.
void read_sequence(SequenceReader& source, std::int64_t s) {
  const sources::Sequence sequence = source.sequences()[static_cast<std::size_t>(s)];
  if (sequence.dim > kMostBytes / 8) return;
  const std::int64_t bytes = row_bytes(sequence);
  const std::int64_t n = std::min(sequence.n_frames, kMostBytes / bytes);
  std::vector<std::byte> frames(static_cast<std::size_t>(n * bytes));
  std::vector<std::byte> row(static_cast<std::size_t>(bytes));
  source.read(s, 0, n, frames.data());
  const std::int64_t step = std::max<std::int64_t>(n / kAlone, 1);
  for (std::int64_t t = n - 1; t >= 0; t -= step) {
    source.read(s, t, 1, row.data());
    expect(std::memcmp(row.data(), frames.data() + t * bytes, row.size()) == 0, "a row that is not itself");
  }
}

void read_all(SequenceReader& source) {
  constexpr std::int64_t kMostSequences = 64;
  const auto n = std::min(std::ssize(source.sequences()), kMostSequences);
  for (std::int64_t s = 0; s < n; ++s) read_sequence(source, s);
  expect(source.read_bytes() > 0 && !source.path_of(0).empty(), "a source without a name");
  static_cast<void>(source.warning());
}

/// What import makes of a source that has been opened.
void check_and_read(SequenceReader& source) {
  sources::check_alike(source);
  for (const sources::Sequence& sequence : source.sequences()) {
    expect(!sequence.id.empty() && sequence.n_frames > 0 && sequence.dim > 0, "a sequence of nothing");
    expect(sequence.n_frames <= data::kMaxUtteranceFrames, "a sequence that no file may hold");
  }
  read_all(source);
}

/// A text before the bytes of another file: its length in 2 bytes, and '@' stands for the other's path.
std::string take_text(Input& input, const std::string& other) {
  std::string text;
  for (std::uint32_t n = input.number(2) % 2048; n > 0; --n) {
    const char c = static_cast<char>(input.byte());
    if (c == '@') {
      text += other;
    } else if (c != '/') {  // no other file of this machine
      text += c;
    }
  }
  return text;
}

MemoryFile file_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}
MemoryFile file_of(const std::string& text) {
  return file_of(std::as_bytes(std::span(text)));
}

/// An array of frames, or of energies.
void read_array(const std::string& path, std::size_t rank) {
  const sources::InputFile file(path);
  const sources::NpyFrames frames(file, 0, file.size(), rank, "a");
  if (frames.n_frames() == 0 || frames.dim() == 0) return;
  const std::int64_t bytes = frames.dim() * store::element_size(frames.type());
  std::vector<std::byte> all(static_cast<std::size_t>(frames.n_frames() * bytes));
  std::vector<std::byte> row(static_cast<std::size_t>(bytes));
  frames.read(file, 0, frames.n_frames(), all.data());
  for (std::int64_t t = 0; t < frames.n_frames(); ++t) {
    frames.read(file, t, 1, row.data());
    expect(std::memcmp(row.data(), all.data() + t * bytes, row.size()) == 0, "a row that is not itself");
  }
}

void read_speakers(const std::string& path) {
  const std::vector<sources::Sequence> sequences = {{"a", 1, 1, {}}, {"b_1", 1, 1, {}}};
  const auto speakers = sources::read_speakers(path, sequences);
  expect(speakers.size() == 2 && !speakers[0].empty() && !speakers[1].empty(), "a sequence of nobody");
}

using Open = std::function<std::unique_ptr<SequenceReader>(const sources::SourceRoom& room)>;

void open_and_read(const Open& open) {
  core::MemoryBudget memory(kBudgetBytes, "fuzz");
  const char* folder = std::getenv("TMPDIR");
  const auto source = open({.memory = memory, .folder = folder == nullptr ? "/tmp" : folder});
  check_and_read(*source);
}

/// Formats in the order of make_corpus.py.
void read_as(int format, Input& input) {
  const MemoryFile array = file_of(input.rest());
  switch (format) {
    case 0:
    case 1:
      return read_array(array.path(), format == 0 ? 2 : 1);
    case 2:
      return open_and_read([&](const auto& room) { return sources::open_npz(array.path(), room); });
    case 3:
      return open_and_read([&](const auto& room) { return sources::open_kaldi_ark(array.path(), room); });
    default:
      return read_speakers(array.path());
  }
}

/// Formats of a text and another file behind it.
void read_pair(int format, Input& input) {
  Input again = input;
  take_text(again, "");
  const MemoryFile other = file_of(again.rest());
  const MemoryFile text = file_of(take_text(input, other.path()));
  open_and_read([&](const auto& room) {
    return format == 5 ? sources::open_kaldi_scp(text.path(), room)
                       : sources::open_npy_lengths(other.path(), text.path(), "", room);
  });
}

}  // namespace
}  // namespace phase0::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase0;
  const fuzz::Limits limits;
  fuzz::Input input(data, size);
  const int format = input.byte() % 7;
  if (format < 5) {
    fuzz::ends_well({ErrorKind::kData, ErrorKind::kMemory}, [&] { fuzz::read_as(format, input); });
  } else {  // a script may name files that are not there
    fuzz::ends_well({ErrorKind::kData, ErrorKind::kMemory, ErrorKind::kStorage},
                    [&] { fuzz::read_pair(format, input); });
  }
  limits.check();
  return 0;
}
