#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numeric>

#include "core/memory.h"
#include "store/atomic_file.h"
#include "store/mapped.h"
#include "support/expect_error.h"
#include "support/resident_memory.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;

std::string pattern(std::size_t n) {
  std::string bytes(n, '\0');
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>(i * 131 + i / 4096);
  return bytes;
}

std::string_view contents(const MappedRegion& region) {
  return {reinterpret_cast<const char*>(region.data()), static_cast<std::size_t>(region.size())};
}

/// Resident bytes of the file-backed kind.
std::int64_t resident() {
  return core::current_rss_bytes();
}

TEST(MappedRegion, MapsUnalignedRanges) {
  const test::TemporaryFolder folder;
  const std::string bytes = pattern(50'000);
  write_file_atomically(folder.file("f"), bytes);
  for (const std::int64_t offset : {0, 1, 4095, 4096, 12'345, 49'999, 50'000}) {
    for (const std::int64_t size : {0, 1, 4096, 20'000}) {
      if (offset + size > 50'000) continue;
      const MappedRegion region(folder.file("f"), offset, size, MapMode::kRead);
      EXPECT_EQ(contents(region),
                bytes.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)));
    }
  }
}

TEST(MappedRegion, ARangeBehindTheEndIsAnError) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  write_file_atomically(path, pattern(5000));
  const auto map = [&](std::int64_t offset, std::int64_t size, MapMode mode) {
    return [=] {
      MappedRegion(path, offset, size, mode, mode == MapMode::kRead ? ErrorKind::kData : ErrorKind::kStorage);
    };
  };
  expect_error(ErrorKind::kData, path, map(0, 5001, MapMode::kRead));
  expect_error(ErrorKind::kData, "5000 bytes", map(5001, 0, MapMode::kRead));
  expect_error(ErrorKind::kData, "5000 bytes",
               map(8, std::numeric_limits<std::int64_t>::max() - 4, MapMode::kRead));
  expect_error(ErrorKind::kStorage, "5000 bytes", map(0, 5001, MapMode::kReadWrite));
  expect_error(ErrorKind::kData, "not a regular file",
               [&] { MappedRegion(folder.path(), 0, 0, MapMode::kRead); });
  expect_error(ErrorKind::kStorage, "cannot open",
               [&] { MappedRegion(folder.file("g"), 0, 0, MapMode::kRead); });
}

TEST(MappedRegion, HintsAreClippedAndKeepContents) {
  const test::TemporaryFolder folder;
  const std::string bytes = pattern(300'000);
  write_file_atomically(folder.file("f"), bytes);
  const MappedRegion region(folder.file("f"), 100, 299'900, MapMode::kRead);
  const MappedRegion copy = region;
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max();
  for (const auto& [offset, size] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 0},
                                                                                       {0, 299'900},
                                                                                       {-5, 10},
                                                                                       {5, -5},
                                                                                       {299'899, kFar},
                                                                                       {kFar, kFar},
                                                                                       {-kFar, kFar},
                                                                                       {70'000, 3}}) {
    region.will_need(offset, size);
    region.release(offset, size);
    region.flush(offset, size);
    EXPECT_EQ(contents(copy), bytes.substr(100));
  }
  const MappedRegion none;
  none.release(0, 10);
  EXPECT_EQ(none.size(), 0);
  EXPECT_EQ(none.path(), "");
}

TEST(MappedRegion, FlushedWritesAreInTheFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f");
  write_file_atomically(path, std::string(300'000, '\0'));
  const std::string bytes = pattern(250'000);
  {
    const MappedRegion region(path, 777, 250'000, MapMode::kReadWrite);
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(region.data()));
    region.flush(1000, 100'000);
    region.release(0, 250'000);
    EXPECT_EQ(contents(region), bytes);
  }
  const std::string file = read_file(path, 300'000);
  EXPECT_EQ(file.substr(777, 250'000), bytes);
  EXPECT_EQ(file.substr(0, 777), std::string(777, '\0'));
}

TEST(MappedRegion, ReleaseKeepsTheResidentSetSmall) {
  if (!test::kResidentMemoryMeansSomething) GTEST_SKIP();
  const test::TemporaryFolder folder;
  constexpr std::int64_t kBytes = std::int64_t{64} << 20;
  constexpr std::int64_t kBlock = 1'000'000;  // unaligned: neighbours share pages and fault windows
  write_file_atomically(folder.file("f"), std::string(kBytes, 'x'));
  const MappedRegion region(folder.file("f"), 0, kBytes, MapMode::kRead);
  const std::int64_t before = resident();
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < kBytes; first += kBlock) {
    const std::int64_t n = std::min(kBlock, kBytes - first);
    region.will_need(first, n);
    for (std::int64_t i = first; i < first + n; i += 512) sum += std::to_integer<int>(region.data()[i]);
    region.release(first, n);
  }
  EXPECT_GT(sum, 0);
  EXPECT_LT(resident() - before, std::int64_t{2} << 20);
}

TEST(MappedRegion, FlushKeepsTheResidentSetSmall) {
  if (!test::kResidentMemoryMeansSomething) GTEST_SKIP();
  const test::TemporaryFolder folder;
  MappedDataset matrix = scratch_matrix(folder.path(), ElementType::kUInt8, 64, 1 << 20);
  const std::int64_t before = resident();
  for (std::int64_t row = 0; row < matrix.rows(); ++row) {
    std::fill_n(matrix.mutable_row(row), matrix.row_bytes(), std::byte{1});
    matrix.flush(row, 1);
  }
  EXPECT_LT(resident() - before, std::int64_t{4} << 20);
  EXPECT_EQ(std::accumulate(matrix.data<std::uint8_t>(), matrix.data<std::uint8_t>() + matrix.bytes(),
                            std::int64_t{0}),
            matrix.bytes());
}

TEST(ScratchMatrix, HoldsValuesAndLeavesNoName) {
  const test::TemporaryFolder folder;
  MappedDataset matrix = scratch_matrix(folder.path(), ElementType::kFloat32, 1000, 33);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ(matrix.rows(), 1000);
  EXPECT_EQ(matrix.columns(), 33);
  std::iota(matrix.mutable_data<float>(), matrix.mutable_data<float>() + 33'000, 0.0F);
  matrix.flush(0, 1000);
  EXPECT_EQ(matrix.data<float>()[32'999], 32'999.0F);
  EXPECT_EQ(*reinterpret_cast<const float*>(matrix.row(3)), 99.0F);
}

TEST(ScratchMatrix, EmptyAndImpossibleSizes) {
  const test::TemporaryFolder folder;
  EXPECT_TRUE(scratch_matrix(folder.path(), ElementType::kFloat64, 0, 5).empty());
  const auto make = [&](std::int64_t rows, std::int64_t columns) {
    return [&folder, rows, columns] { scratch_matrix(folder.path(), ElementType::kFloat64, rows, columns); };
  };
  expect_error(ErrorKind::kStorage, "too large", make(std::int64_t{1} << 40, std::int64_t{1} << 40));
  expect_error(ErrorKind::kStorage, "disk full", make(std::int64_t{1} << 40, 64));
  expect_error(ErrorKind::kStorage, "scratch file",
               [&] { scratch_matrix(folder.file("none"), ElementType::kFloat32, 1, 1); });
}

}  // namespace
}  // namespace phase0::store
