#include "fuzz/h5_checksums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace phase0::store {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes seed(const std::string& name) {
  const auto path = std::filesystem::path(PHASE0_SOURCE_DIR) / "tests/fuzz/corpus/latents" / name;
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  const std::string bytes = text.str();
  return {bytes.begin(), bytes.end()};
}

std::size_t count(const Bytes& bytes, std::string_view mark) {
  std::size_t n = 0;
  for (auto at = bytes.begin(); (at = std::search(at, bytes.end(), mark.begin(), mark.end())) != bytes.end();
       ++at)
    ++n;
  return n;
}

class ChecksumsOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Files, ChecksumsOf,
                         testing::Values("compact_new", "b_dense", "dense_links", "chunks_fixed",
                                         "chunks_extensible", "chunks_tree"),
                         [](const auto& info) { return std::string(info.param); });

/// What the fuzzer mends are the checksums that HDF5 wrote, all of them, and nothing else.
TEST_P(ChecksumsOf, AreMendedToWhatHdf5Wrote) {
  const Bytes whole = seed(GetParam());
  std::size_t structures = 1;  // the superblock
  for (const char* mark :
       {"OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD", "BTIN", "BTLF", "FAHD", "FADB", "EAHD", "EAIB"}) {
    structures += count(whole, mark);
  }
  Bytes mended = whole;
  fuzz::H5Checksums(mended).mend();
  ASSERT_EQ(mended, whole);
  std::size_t restored = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    mended[i] ^= 0x40U;
    fuzz::H5Checksums(mended).mend();
    if (mended == whole) ++restored;
    mended = whole;
  }
  EXPECT_EQ(restored, 4 * structures);
}

}  // namespace
}  // namespace phase0::store
