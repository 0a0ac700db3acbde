#include "machine_limits.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace phase0::bench {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
typedef float Floats __attribute__((vector_size(4 * kLanes)));

/// Keeps a value, and with it the loop that made it.
void keep(const Floats& value) {
  __asm__ volatile("" : : "m"(value));
}

}  // namespace

double read_rate(core::ThreadPool& pool) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 18;  // floats
  constexpr std::int64_t kPieces = 512;
  std::vector<float> memory(static_cast<std::size_t>(kPiece * kPieces), 1.0f);
  double best = 1e9;
  for (int pass = 0; pass < 5; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    pool.run(kPieces, [&](std::int64_t piece, int) {
      const float* at = memory.data() + piece * kPiece;
      Floats sums[4] = {};
      for (std::int64_t i = 0; i < kPiece; i += 4 * kLanes) {
        for (int j = 0; j < 4; ++j) {
          Floats value;
          __builtin_memcpy(&value, at + i + j * kLanes, sizeof value);
          sums[j] += value;
        }
      }
      keep(sums[0] + sums[1] + sums[2] + sums[3]);
    });
    best = std::min(best, seconds_since(start));
  }
  return static_cast<double>(kPiece * kPieces * 4) / best;
}

double multiply_add_rate(core::ThreadPool& pool) {
  constexpr std::int64_t kSteps = 5'000'000;
  constexpr int kSums = 12;  // covers the latency of two units
  double best = 1e9;
  for (int pass = 0; pass < 5; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    pool.run(pool.size(), [&](std::int64_t, int) {
      Floats sums[kSums];
      for (int j = 0; j < kSums; ++j) sums[j] = static_cast<float>(j) - Floats{};  // equal ones get merged
      const Floats factor = 0.999f - Floats{};
      for (std::int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
        for (Floats& sum : sums) sum = sum * factor + factor;  // contracted, see CMakeLists.txt
      }
      for (const Floats& sum : sums) keep(sum);
    });
    best = std::min(best, seconds_since(start));
  }
  return static_cast<double>(2 * kLanes * kSums * kSteps * pool.size()) / best;
}

}  // namespace phase0::bench
