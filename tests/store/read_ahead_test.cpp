#include "store/read_ahead.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "failing_new.h"
#include "store/mapped.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

constexpr std::int64_t kSize = 4'000'123;  // ends in the middle of a page
constexpr std::int64_t kPlenty = std::int64_t{1} << 30;

class ReadAheadTest : public ::testing::Test {
 protected:
  ReadAheadTest() : path_(folder_.file("data")) {
    bytes_.resize(static_cast<std::size_t>(kSize));
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      bytes_[i] = static_cast<unsigned char>(i * 2654435761u >> 13);
    const FileDescriptor out = open_file(path_, O_RDWR | O_CREAT);
    write_exactly(out, 0, kSize, bytes_.data(), path_);
    sync_file(out, path_);
    file_ = open_file(path_, O_RDONLY);
    const FileDescriptor direct(::open(path_.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    if (!direct) skipped_ = true;
  }
  void SetUp() override {
    if (skipped_) GTEST_SKIP() << "no direct reads on this file system";
  }

  /// Whether the range was there; checks its bytes.
  bool take(ReadAhead& ahead, std::int64_t offset, std::int64_t size) const {
    std::vector<unsigned char> out(static_cast<std::size_t>(size));
    if (!ahead.take(offset, size, out.data())) return false;
    EXPECT_TRUE(std::equal(out.begin(), out.end(), bytes_.begin() + offset));
    return true;
  }

  test::TemporaryFolder folder_;
  std::string path_;
  std::vector<unsigned char> bytes_;
  FileDescriptor file_;
  bool skipped_ = false;
};

TEST_F(ReadAheadTest, AFailedAllocationNeverMakesItWait) {
  if (!testing::kAllocationsCanFail) GTEST_SKIP() << "the thread sanitizer's operator new stays";
  for (int n = 1; n <= 16; ++n) {
    ReadAhead ahead;
    testing::fail_allocation(n);
    ahead.fetch(file_, 0, 1 << 18, kPlenty);
    testing::fail_allocation(0);
    take(ahead, 0, 1 << 18);
    ahead.fetch(file_, 1 << 20, 1 << 18, kPlenty);
    take(ahead, 1 << 20, 1 << 18);
  }
}

TEST_F(ReadAheadTest, GivesTheBytesOfAnyRange) {
  ReadAhead ahead;
  const std::pair<std::int64_t, std::int64_t> ranges[] = {
      {0, 1 << 17}, {200'001, 131'073}, {1 << 20, 1 << 20}, {kSize - 300'000, 300'000}};
  for (const auto& [offset, size] : ranges) ahead.fetch(file_, offset, size, kPlenty);
  for (const auto& [offset, size] : ranges) {
    EXPECT_TRUE(take(ahead, offset, size)) << offset;
    EXPECT_FALSE(take(ahead, offset, size)) << "taken already";
  }
}

TEST_F(ReadAheadTest, WhatWasNotFetchedIsNotThere) {
  ReadAhead ahead;
  EXPECT_FALSE(take(ahead, 0, 200'000));
  ahead.fetch(file_, 0, 200'000, kPlenty);
  EXPECT_FALSE(take(ahead, 0, 200'001));
  EXPECT_FALSE(take(ahead, 4096, 195'904));
  ahead.fetch(file_, 1 << 20, ReadAhead::kLeastBytes - 1, kPlenty);
  EXPECT_FALSE(take(ahead, 1 << 20, ReadAhead::kLeastBytes - 1)) << "too small to be worth it";
  EXPECT_TRUE(take(ahead, 0, 200'000));
}

TEST_F(ReadAheadTest, HoldsNoMoreThanItMay) {
  ReadAhead ahead;
  const std::int64_t limit = ReadAhead::held_bytes(400'000);
  for (std::int64_t offset = 0; offset < 2'000'000; offset += 200'000)
    ahead.fetch(file_, offset, 200'000, limit);
  EXPECT_TRUE(take(ahead, 0, 200'000));
  EXPECT_FALSE(take(ahead, 400'000, 200'000));
  ahead.fetch(file_, 400'000, 200'000, limit);
  EXPECT_TRUE(take(ahead, 400'000, 200'000)) << "there is room again";
  EXPECT_TRUE(take(ahead, 200'000, 200'000));
}

TEST_F(ReadAheadTest, DroppedRangesAreGoneAndTheirRoomIsFree) {
  ReadAhead ahead;
  const std::int64_t limit = ReadAhead::held_bytes(400'000);
  for (int round = 0; round < 20; ++round) {
    ahead.fetch(file_, 0, 200'000, limit);
    ahead.fetch(file_, 200'000, 200'000, limit);
    if (round % 2 == 1) {
      EXPECT_TRUE(take(ahead, 0, 200'000));
    }
    ahead.drop();
    EXPECT_FALSE(take(ahead, 0, 200'000));
    EXPECT_FALSE(take(ahead, 200'000, 200'000));
  }
  ahead.fetch(file_, 0, 200'000, limit);
}  // and goes with a range that nobody took

TEST_F(ReadAheadTest, ServesManyThreads) {
  ReadAhead ahead;
  constexpr std::int64_t kPiece = 150'000;
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 10; ++round) {
        for (std::int64_t i = t; (i + 1) * kPiece <= kSize; i += 4) {
          ahead.fetch(file_, i * kPiece, kPiece, kPlenty);
          EXPECT_TRUE(take(ahead, i * kPiece, kPiece));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(ReadAheadTest, ARegionReadsTheSameAheadOrNot) {
  const MappedRegion region(path_, 1000, 3'000'000, MapMode::kRead);
  std::vector<unsigned char> out(500'000);
  for (const bool ahead : {false, true}) {
    for (const std::int64_t offset : {0, 77, 2'500'000}) {
      if (ahead) region.read_ahead(offset, 500'000, kPlenty);
      region.read(offset, 500'000, out.data());
      EXPECT_TRUE(std::equal(out.begin(), out.end(), bytes_.begin() + 1000 + offset));
    }
  }
}

TEST_F(ReadAheadTest, AFileThatWasCutShortIsAnErrorNotASignal) {
  const MappedRegion region(path_, 0, kSize, MapMode::kRead);
  ASSERT_EQ(::truncate(path_.c_str(), 1'000'000), 0);
  std::vector<unsigned char> out(500'000);
  for (const bool ahead : {false, true}) {
    if (ahead) region.read_ahead(800'000, 500'000, kPlenty);
    test::expect_error(ErrorKind::kData, "ends too early",
                       [&] { region.read(800'000, 500'000, out.data()); });
  }
}

}  // namespace
}  // namespace phase0::store
