#include "store/lookup3.h"

#include <algorithm>
#include <bit>

namespace phase0::store {
namespace {

constexpr std::size_t kStepBytes = 12;

struct State {
  std::uint32_t a = 0, b = 0, c = 0;

  /// At most kStepBytes, as three little-endian numbers.
  void add(std::span<const std::byte> bytes) {
    std::uint32_t words[3] = {};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      words[i / 4] |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * (i % 4));
    }
    a += words[0];
    b += words[1];
    c += words[2];
  }
  void mix() {
    const auto step = [](std::uint32_t& x, std::uint32_t& y, std::uint32_t z, int bits) {
      x = (x - y) ^ std::rotl(y, bits);
      y += z;
    };
    step(a, c, b, 4);
    step(b, a, c, 6);
    step(c, b, a, 8);
    step(a, c, b, 16);
    step(b, a, c, 19);
    step(c, b, a, 4);
  }
  void finish() {
    const auto step = [](std::uint32_t& x, std::uint32_t y, int bits) { x = (x ^ y) - std::rotl(y, bits); };
    step(c, b, 14);
    step(a, c, 11);
    step(b, a, 25);
    step(c, b, 16);
    step(a, c, 4);
    step(b, a, 14);
    step(c, b, 24);
  }
};

}  // namespace

std::uint32_t lookup3(std::span<const std::byte> bytes) {
  const std::uint32_t start = 0xdeadbeefU + static_cast<std::uint32_t>(bytes.size());
  State state{start, start, start};
  for (; bytes.size() > kStepBytes; bytes = bytes.subspan(kStepBytes)) {
    state.add(bytes.first(kStepBytes));
    state.mix();
  }
  if (bytes.empty()) return state.c;
  state.add(bytes);
  state.finish();
  return state.c;
}

}  // namespace phase0::store
