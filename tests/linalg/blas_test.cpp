#include "linalg/blas.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "core/cgroup.h"
#include "core/threads.h"
#include "phase0/error.h"

namespace phase0::linalg {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
// Small enough for many products to begin and end at once, and more than the library does without a buffer.
constexpr std::int64_t kSize = 40;

/// Whether the product of constant matrices has the value it must have everywhere.
bool product_is_right(double value) {
  const std::vector<double> a(kSize * kSize, value);
  const std::vector<double> b(kSize * kSize, 1.0);
  std::vector<double> c(kSize * kSize);
  multiply_abt(kSize, kSize, kSize, a.data(), kSize, b.data(), kSize, c.data(), kSize);
  return c == std::vector<double>(kSize * kSize, static_cast<double>(kSize) * value);
}

std::int64_t wrong_products(core::ThreadPool& pool, std::int64_t n) {
  std::vector<std::int64_t> wrong(pool.size());
  pool.run(n, [&](std::int64_t item, int worker) {
    if (!product_is_right(static_cast<double>(item % 7 + 1))) ++wrong[worker];
  });
  std::int64_t sum = 0;
  for (const std::int64_t count : wrong) sum += count;
  return sum;
}

/// Lets this process have so much more address space than it has.
void allow_more(std::int64_t bytes) {
  const std::int64_t size = core::read_kibibytes("/proc/self/status", "VmSize").value();
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = static_cast<rlim_t>(size + bytes);
  setrlimit(RLIMIT_AS, &limit);
}

TEST(Blas, ProductsOfManyThreadsDoNotMix) {
  core::ThreadPool pool(4);
  EXPECT_EQ(wrong_products(pool, 200'000), 0);
}

// The limits are set in a process of their own, which has no buffers yet.
class BlasDeathTest : public ::testing::Test {
 protected:
  BlasDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(BlasDeathTest, SaysSoWhenThereIsNoRoomForABufferAndGoesOnOnceThereIs) {
  const auto refused_then_right = [] {
    allow_more(64 * kMiB);
    try {
      product_is_right(1);
      return 1;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kMemory) return 2;
    }
    allow_more(256 * kMiB);
    return product_is_right(1) ? 0 : 3;
  };
  EXPECT_EXIT(::_exit(refused_then_right()), ::testing::ExitedWithCode(0), "");
}

TEST_F(BlasDeathTest, ProductsTakeTurnsWhereThereIsRoomForOneBuffer) {
  const auto all_right = [] {
    mallopt(M_ARENA_MAX, 1);  // as the program does: an arena of a thread takes 64 MiB of address space
    core::ThreadPool pool(4);
    allow_more(200 * kMiB);
    return wrong_products(pool, 2000) == 0 ? 0 : 1;
  };
  EXPECT_EXIT(::_exit(all_right()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace phase0::linalg
