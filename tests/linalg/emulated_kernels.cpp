#include "emulated_kernels.h"

#include <cmath>
#include <cstdint>
#include <limits>

namespace phase0::linalg::testing {
namespace avx512_shape {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kTileVectors = 3;
constexpr std::int64_t kGroup = 8;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
inline void multiply_add(Floats& sum, const Floats& a, const Floats& b) {
  for (std::int64_t l = 0; l < kLanes; ++l) sum[l] = std::fma(a[l], b[l], sum[l]);
}
inline void lesser_of(Floats& out, const Floats& a, const Floats& b) {
  out = a < b ? a : b;
}

#include "linalg/kernels_vectors.inc"

#include "linalg/kernels_nearest.inc"

}  // namespace
}  // namespace avx512_shape

namespace amx_emulated {
namespace {

constexpr std::int64_t kLanes = 4;
constexpr std::int64_t kTileVectors = 8;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
inline void lesser_of(Floats& out, const Floats& a, const Floats& b) {
  out = a < b ? a : b;
}

#include "linalg/kernels_vectors.inc"

float flushed(float value) {
  return std::abs(value) < std::numeric_limits<float>::min() ? 0.0f : value;
}

/// Value `half` (0 or 1) of a word of two bf16.
float bf16_of(std::uint32_t word, int half) {
  const std::uint32_t bits = half == 0 ? word << 16 : word & 0xffff0000u;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return flushed(value);
}

class Tiles {
 public:
  void clear_sums() {
    for (auto& sum : sums_) sum.assign(256, 0.0f);
  }
  void load_centroids(const std::uint32_t* block) { centroids_.assign(block, block + 512); }
  void load_rows(const std::uint32_t* block) { rows_.assign(block, block + 512); }
  void multiply_add() {
    for (int tile = 0; tile < 4; ++tile) {
      dot(sums_[tile].data(), centroids_.data() + 256 * (tile / 2), rows_.data() + 256 * (tile % 2));
    }
  }
  void store_sums(float* to, std::int64_t stride) const {
    for (int tile = 0; tile < 4; ++tile) {
      for (int m = 0; m < 16; ++m) {
        for (int n = 0; n < 16; ++n) {
          to[(16 * (tile / 2) + m) * stride + 16 * (tile % 2) + n] =
              sums_[tile][static_cast<std::size_t>(16 * m + n)];
        }
      }
    }
  }

 private:
  /// TDPBF16PS. A product of two bf16 is exact in float32.
  static void dot(float* sum, const std::uint32_t* a, const std::uint32_t* b) {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 16; ++n) {
        float parts[2] = {0.0f, 0.0f};
        for (int k = 0; k < 16; ++k) {
          for (int half = 0; half < 2; ++half) {
            parts[half] = flushed(parts[half] + bf16_of(a[16 * m + k], half) * bf16_of(b[16 * k + n], half));
          }
        }
        sum[16 * m + n] = flushed(flushed(sum[16 * m + n]) + flushed(parts[0] + parts[1]));
      }
    }
  }

  std::vector<float> sums_[4];
  std::vector<std::uint32_t> centroids_;
  std::vector<std::uint32_t> rows_;
};

#include "linalg/kernels_amx.inc"

}  // namespace
}  // namespace amx_emulated

namespace {
Kernels portable_with(const char* name, const NearestKernel& product) {
  Kernels table = *available_kernels().back();
  table.name = name;
  table.narrow = table.wide = product;
  return table;
}
}  // namespace

const Kernels& avx512_shape_kernels() {
  static const Kernels table = [] {
    Kernels with = portable_with("avx512_shape", avx512_shape::kNearest);
    with.fold = avx512_shape::kFold;
    return with;
  }();
  return table;
}

const Kernels& amx_emulated_kernels() {
  static const Kernels table = portable_with("amx_emulated", amx_emulated::kNearest);
  return table;
}

std::vector<const Kernels*> all_kernels() {
  auto tables = available_kernels();
  tables.push_back(&avx512_shape_kernels());
  tables.push_back(&amx_emulated_kernels());
  return tables;
}

}  // namespace phase0::linalg::testing
