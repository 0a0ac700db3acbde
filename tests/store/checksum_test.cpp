#include "store/checksum.h"

#include <gtest/gtest.h>

#include <fstream>

#include "store/atomic_file.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

TEST(Checksum, OfPartsIsThatOfTheWhole) {
  const std::string text = "123456789";
  EXPECT_EQ(checksum(0, text.data(), 9), 0xcbf43926u);  // the check value of CRC-32
  const std::uint32_t head = checksum(0, text.data(), 4);
  EXPECT_EQ(checksum(head, text.data() + 4, 5), 0xcbf43926u);
  EXPECT_EQ(joined_checksum(head, checksum(0, text.data() + 4, 5), 5), 0xcbf43926u);
  EXPECT_EQ(joined_checksum(0, head, 4), head);
}

TEST(Checksum, SampledSeesBothEndsAndSmallFilesWhole) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  for (const std::size_t size : {0u, 1u, 4096u, 4097u, 200'000u, 3'000'000u}) {
    std::string contents(size, 'x');
    write_file_atomically(path, contents);
    const std::uint32_t before = sampled_checksum(path);
    EXPECT_EQ(sampled_checksum(path), before);
    for (const std::size_t at : {std::size_t{0}, size - 1, size / 65}) {
      if (at >= size) continue;
      std::string changed = contents;
      changed[at] = 'y';
      write_file_atomically(path, changed);
      EXPECT_NE(sampled_checksum(path), before) << size << " " << at;
    }
  }
  test::expect_error(ErrorKind::kStorage, "No such file", [&] { sampled_checksum(folder.file("none")); });
}

TEST(Checksum, SampledReadsThePlacesOfALargeFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("sparse");
  constexpr std::int64_t kBytes = std::int64_t{1} << 40;
  { std::ofstream file(path); }
  std::filesystem::resize_file(path, kBytes);
  const std::uint32_t before = sampled_checksum(path);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(kBytes - 1);
  file.put('y');
  file.close();
  EXPECT_NE(sampled_checksum(path), before);
}

}  // namespace
}  // namespace phase0::store
