#include "store/lookup3.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <string>

/// HDF5's own (in its library, not in its headers).
extern "C" std::uint32_t H5_checksum_lookup3(const void* key, std::size_t n, std::uint32_t start);

namespace phase0::store {
namespace {

TEST(Lookup3, IsThatOfHdf5) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(lookup3(std::as_bytes(std::span(text))), H5_checksum_lookup3(text.data(), text.size(), 0)) << i;
    text += static_cast<char>(i * 37 + 11);
  }
}

}  // namespace
}  // namespace phase0::store
