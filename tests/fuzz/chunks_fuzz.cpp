#include <hdf5.h>

#include <vector>

#include "harness.h"
#include "store/h5_chunks.h"
#include "store/h5_zstd.h"

/// Bytes as a stored chunk behind a pipeline of filters. The front of the input says which, and what size the
/// dataset states: number of filters, for each its kind and its option, the mask of those skipped, the size
/// (3 bytes); make_corpus.py writes the same.
namespace phase0::fuzz {
namespace {

store::ChunkFilter read_filter(Input& input) {
  constexpr int kFilters[] = {H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32, H5Z_FILTER_DEFLATE,
                              store::kZstdFilter};
  const int id = kFilters[input.byte() % std::size(kFilters)];
  const unsigned option = input.number(2);
  // The dataset's reader takes a filter with any number of options, none included.
  if (option == 0xffffU) return {id, {}};
  return {id, {option}};
}

}  // namespace
}  // namespace phase0::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase0;
  const fuzz::Limits limits;
  fuzz::Input input(data, size);
  std::vector<store::ChunkFilter> filters(input.byte() % 9U);
  for (store::ChunkFilter& filter : filters) filter = fuzz::read_filter(input);
  const std::uint32_t skipped = input.byte();
  // A reader sets as much memory aside as is stated. More than this only takes longer to fill with zeros.
  const std::int64_t chunk_bytes = 1 + input.number(3) % (1U << 20);
  const auto stored = input.rest();
  std::vector<std::byte> raw(stored.begin(), stored.end());
  std::vector<std::byte> spare;
  const std::string problem = store::decode_chunk(filters, skipped, chunk_bytes, raw, spare);
  fuzz::expect(!problem.empty() || std::ssize(raw) == chunk_bytes, "a chunk of another size than stated");
  limits.check();
  return 0;
}
