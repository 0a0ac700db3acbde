#include <hdf5.h>

#include <cmath>
#include <vector>

#include "core/execution.h"
#include "data/latents.h"
#include "harness.h"
#include "phase0/pipeline.h"
#include "store/h5_exit.h"

/// Bytes as a latents file: opened, checked, and read in every way that the stages read it; then as any file
/// that `phase0 inspect` is given.
namespace phase0::fuzz {
namespace {

/// What one input may take beside the program itself. Reading reserves its memory as the stages do, so that
/// stated sizes beyond this are refused, not allocated.
constexpr std::int64_t kBudgetBytes = core::MemoryBudget::kBaseBytes + (std::int64_t{96} << 20);
/// Files whose values take more, decompressed, are read in part: that takes long for good reasons.
constexpr std::int64_t kMostValues = std::int64_t{32} << 20;
constexpr std::int64_t kBlockBytes = std::int64_t{1} << 20;

std::int64_t row_bytes(const data::Latents& latents) {
  return latents.codec().row_bytes();
}

bool is_small(const data::Latents& latents) {
  return latents.n_frames() <= kMostValues / row_bytes(latents);
}

void read_metadata(const data::Latents& latents) {
  expect(latents.n_frames() > 0 && latents.dim() > 0, "a file without values");
  std::int64_t next = 0;
  std::size_t total = 0;
  for (const data::Utterance& utterance : latents.utterances()) {
    expect(utterance.offset == next && utterance.n_frames > 0, "utterances that do not follow each other");
    next += utterance.n_frames;
    total += utterance.id.size() + utterance.speaker.size();
  }
  expect(next == latents.n_frames() && total > 0, "utterances that are not all of the file");
  const auto last = std::ssize(latents.utterances()) - 1;
  expect(latents.find(0) == 0 && latents.find(next - 1) == last, "rows of no utterance");
  expect(!latents.frames_name(last).empty() && !latents.energy_name(last).empty(), "datasets without names");
}

void read_values(const data::Latents& latents, core::MemoryBudget& memory) {
  const std::int64_t rows = std::clamp<std::int64_t>(kBlockBytes / row_bytes(latents), 1, latents.n_frames());
  const std::int64_t decoded_bytes = latents.codec().quantised() ? 4 * rows * latents.dim() : 0;
  const core::Reservation reserved(
      memory, 2 * rows * (row_bytes(latents) + 4) + decoded_bytes + latents.read_bytes(), "fuzz");
  std::vector<float> decoded(static_cast<std::size_t>(decoded_bytes / 4));
  std::vector<std::byte> block(static_cast<std::size_t>(rows * row_bytes(latents)));
  std::vector<std::byte> mapped(latents.mappable() ? block.size() : 0);
  std::vector<float> energy(static_cast<std::size_t>(rows));
  const std::int64_t end = is_small(latents) ? latents.n_frames() : rows;
  for (std::int64_t first = 0; first < end; first += rows) {
    const std::int64_t n = std::min(rows, end - first);
    latents.read_frames(first, n, block.data());
    if (latents.codec().quantised()) {
      latents.codec().decode_rows(block.data(), n, decoded.data());
      for (std::int64_t i = 0; i < n * latents.dim(); ++i)
        expect(std::abs(decoded[static_cast<std::size_t>(i)]) <= data::kLargestDecodedValue,
               "a value beyond the tables");
    }
    if (latents.has_energy()) latents.read_energy(first, n, energy.data());
    if (!latents.mappable()) continue;
    latents.map_frames().read(first, n, mapped.data());
    const auto bytes = static_cast<std::size_t>(n * row_bytes(latents));
    expect(std::memcmp(block.data(), mapped.data(), bytes) == 0, "a map that is not what is read");
  }
}

void check_values(const data::Latents& latents, core::MemoryBudget& memory) {
  if (!is_small(latents)) return;
  static core::ThreadPool pool(1);
  Observer observer;
  core::Execution execution{pool, memory, observer};
  const auto dropped = data::find_non_finite(latents, NonFinitePolicy::kDropUtterance, execution);
  expect(dropped.size() == latents.utterances().size(), "not a mark for each utterance");
  const bool clean = ends_well({ErrorKind::kData},
                               [&] { data::find_non_finite(latents, NonFinitePolicy::kError, execution); });
  const bool marked = std::find(dropped.begin(), dropped.end(), 1) != dropped.end();
  expect(clean != marked, "two policies that see other values");
}

void open_and_read(const std::string& path) {
  core::MemoryBudget memory(kBudgetBytes, "fuzz");
  const data::Latents latents = data::Latents::open(path);
  read_metadata(latents);
  read_values(latents, memory);
  check_values(latents, memory);
}

}  // namespace
}  // namespace phase0::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase0;
  // As the program does: HDF5 keeps parts of some damaged files, and ends badly when it closes them at exit.
  [[maybe_unused]] static const bool left = (store::leave_hdf5_at_exit(), true);
  const fuzz::Limits limits;
  const fuzz::MemoryFile file(data, size);
  const auto kinds = {ErrorKind::kData, ErrorKind::kMemory};
  // What can be read as latents is no other file.
  if (!fuzz::ends_well(kinds, [&] { fuzz::open_and_read(file.path()); })) {
    fuzz::ends_well(kinds, [&] { inspect(file.path()); });
  }
  limits.check();
  fuzz::expect(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) == 0, "an HDF5 handle left open");
  return 0;
}
