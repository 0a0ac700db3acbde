#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fields.h"

/// Random numbers that are the same on every platform: no std:: distribution is used anywhere.
namespace phase0::core {

/// SplitMix64 (Steele, Lea, Flood 2014): one step of a 64-bit mix, used to derive seeds.
std::uint64_t mix64(std::uint64_t x);

/// Seed of an independent stream: a hash of the root seed, a purpose and up to two numbers.
std::uint64_t derive_seed(std::uint64_t seed, std::string_view purpose, std::uint64_t a = 0,
                          std::uint64_t b = 0);

/// xoshiro256** 1.0 (Blackman, Vigna 2018), seeded through SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next() {
    const std::uint64_t result = rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotl(state_[3], 45);
    return result;
  }
  /// Uniform in [0, bound), bound >= 1, without bias (Lemire 2019).
  std::uint64_t below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(next()) * bound;
    auto low = static_cast<std::uint64_t>(product);
    if (low < bound) {
      const std::uint64_t threshold = (0 - bound) % bound;
      while (low < threshold) {
        product = static_cast<Wide>(next()) * bound;
        low = static_cast<std::uint64_t>(product);
      }
    }
    return static_cast<std::uint64_t>(product >> 64);
  }
  /// Uniform in [0, 1) with 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Standard normal (polar method).
  double normal();
  /// Whether it has a state that seeds lead to: from all zeros there is no way out.
  bool sound() const { return (state_[0] | state_[1] | state_[2] | state_[3]) != 0; }

 private:
  template <class Visit, Like<Random> T>
  friend void each_field(Visit& visit, T& random) {
    visit(random.state_[0], random.state_[1], random.state_[2], random.state_[3]);
  }

  static std::uint64_t rotl(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::uint64_t state_[4];
};

/// Fisher-Yates from the last element down: for i = n-1 .. 1 swap element i with element below(i + 1).
template <typename T>
void shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[static_cast<std::size_t>(random.below(i))]);
  }
}

}  // namespace phase0::core
