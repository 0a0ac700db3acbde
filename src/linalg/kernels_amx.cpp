// Built with the flags of kernels_avx512.cpp and -mamx-tile -mamx-bf16; nothing in it runs before CPU and
// kernel were asked for them. The algorithm is in kernels_amx.inc, which the tests run on emulated tiles.
#include <immintrin.h>

#include <cstdint>

#include "linalg/kernels.h"
#include "linalg/kernels_sets.h"

namespace phase0::linalg {
namespace amx {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kTileVectors = 2;
typedef float Floats __attribute__((vector_size(4 * kLanes)));
inline void lesser_of(Floats& out, const Floats& a, const Floats& b) {
  out = a < b ? a : b;
}

#include "linalg/kernels_vectors.inc"

/// What ldtilecfg reads: palette 1, eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileShapes) == 64);
constexpr TileShapes kTileShapes;

/// The tile registers: sums 0 to 3 (centroids x rows: 0 = upper left, 1 = upper right), centroids 4 and 5,
/// rows 6 and 7.
struct Tiles {
  Tiles() { _tile_loadconfig(&kTileShapes); }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  void clear_sums() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  void load_centroids(const std::uint32_t* block) {
    _tile_loadd(4, block, 64);
    _tile_loadd(5, block + 256, 64);
  }
  void load_rows(const std::uint32_t* block) {
    _tile_loadd(6, block, 64);
    _tile_loadd(7, block + 256, 64);
  }
  void multiply_add() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  void store_sums(float* to, std::int64_t stride) {
    _tile_stored(0, to, 4 * stride);
    _tile_stored(1, to + 16, 4 * stride);
    _tile_stored(2, to + 16 * stride, 4 * stride);
    _tile_stored(3, to + 16 * stride + 16, 4 * stride);
  }
};

#include "linalg/kernels_amx.inc"

}  // namespace

const Kernels& kernels() {
  static const Kernels table = [] {
    Kernels result = avx512::kKernels;
    result.name = "amx";
    result.wide = kNearest;
    return result;
  }();
  return table;
}

}  // namespace amx
}  // namespace phase0::linalg
