#include "core/zeroed_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace phase0::core {
namespace {

TEST(ZeroedBuffer, StartsAsZeroAndAligned) {
  for (const std::int64_t n : {1, 7, 1000, 131'072, 1'000'003}) {  // from the heap and pages of its own
    ZeroedBuffer<double> buffer(n);
    ASSERT_EQ(buffer.size(), n);
    EXPECT_FALSE(buffer.empty());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + n, [](double value) { return value == 0; }));
    std::fill_n(buffer.data(), n, 1.5);
    EXPECT_EQ(buffer[n - 1], 1.5);
  }
}

TEST(ZeroedBuffer, ZeroAgainWhereMemoryIsUsedAgain) {
  for (int round = 0; round < 3; ++round) {
    ZeroedBuffer<std::int64_t> buffer(3000);
    EXPECT_EQ(std::count(buffer.data(), buffer.data() + 3000, 0), 3000);
    std::fill_n(buffer.data(), 3000, -1);
  }
}

TEST(ZeroedBuffer, PagesOnRequestAreZeroWhoeverBringsThemIn) {
  constexpr std::int64_t kValues = 1'000'003;
  ZeroedBuffer<double> buffer(kValues, Pages::kOnRequest);
  buffer.bring_in(0, kValues / 2);
  buffer[1] = 1;
  buffer.bring_in(0, kValues);  // what is there stays
  EXPECT_EQ(buffer[1], 1);
  EXPECT_EQ(std::count(buffer.data(), buffer.data() + kValues, 0), kValues - 1);
}

TEST(ZeroedBuffer, EmptyAndMoved) {
  const ZeroedBuffer<double> none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_TRUE(ZeroedBuffer<double>(0).empty());
  ZeroedBuffer<double> from(200'000);
  from[5] = 2;
  const ZeroedBuffer<double> to = std::move(from);
  EXPECT_EQ(to[5], 2);
  EXPECT_EQ(to.size(), 200'000);
}

}  // namespace
}  // namespace phase0::core
