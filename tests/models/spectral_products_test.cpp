#include "models/spectral_products.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models/pca_reference.h"
#include "models/sources.h"

namespace phase0::models {
namespace {

/// Runs of several lengths, those shorter than a difference among them.
struct Data {
  explicit Data(std::int64_t differences, std::int64_t n_columns)
      : n_differences(differences),
        columns(n_columns),
        index(testing::index_of({30, 700, differences + 2, 64, 57, 1, 2000}, differences)),
        frames(testing::persistent_frames(2900, columns, 0.1)),
        source(
            data::flat_source(data::FrameMatrix(testing::matrix(frames, columns)), index, differences, 1)) {}

  /// In `bands` bands a scan, in chunks of so many rows.
  std::vector<double> sums(int bands, std::int64_t rows_at_once, int threads) const {
    core::ThreadPool pool(threads);
    SpectralProducts products(n_differences, columns);
    for (int first = 0; first < SpectralProducts::kBands; first += bands) {
      products.begin_scan(first, std::min(first + bands, SpectralProducts::kBands));
      for (std::int64_t b = 0; b < source->n_blocks(); b += rows_at_once) {
        std::vector<data::FeatureBlock> blocks;
        for (std::int64_t i = b; i < std::min(source->n_blocks(), b + rows_at_once); ++i) {
          source->load_block(i, blocks.emplace_back());
        }
        products.add(blocks, pool);
      }
      products.end_scan(pool);
    }
    return {products.product(0), products.product(0) + n_differences * columns * columns};
  }
  double exact(std::int64_t k, std::int64_t i, std::int64_t j) const {
    double sum = 0;
    for (const auto& u : index.utterances()) {
      for (std::int64_t r = 0; r < u.n_rows; ++r) {
        const std::int64_t t = u.frame_offset + u.first_t - n_differences + r;
        sum += static_cast<double>(frames[static_cast<std::size_t>(t * columns + i)]) *
               static_cast<double>(frames[static_cast<std::size_t>((t + k) * columns + j)]);
      }
    }
    return sum;
  }

  std::int64_t n_differences, columns;
  data::SampleIndex index;
  std::vector<float> frames;
  std::unique_ptr<data::FeatureSource> source;
};

TEST(SpectralProducts, AreThoseOfFramesSoFarApart) {
  for (const auto& [differences, columns] :
       {std::pair<std::int64_t, std::int64_t>{8, 64}, {4, 67}, {11, 80}}) {
    const Data data(differences, columns);
    const std::vector<double> sums = data.sums(3, 1, 2);
    double scale = 0;
    for (std::int64_t i = 0; i < columns; ++i) scale = std::max(scale, data.exact(0, i, i));
    for (std::int64_t k = 0; k < differences; ++k) {
      for (std::int64_t i = 0; i < columns; i += 3) {
        for (std::int64_t j = 0; j < columns; j += 7) {
          const auto at = static_cast<std::size_t>((k * columns + i) * columns + j);
          EXPECT_NEAR(sums[at], data.exact(k, i, j), 1e-6 * scale) << k << " " << i << " " << j;
        }
      }
    }
  }
}

TEST(SpectralProducts, ManyBatchesAddUpToTheSame) {
  // 276 rows, repeated: about 90 batches of transforms, moved into float64 three times.
  const std::int64_t columns = 64;
  const std::int64_t repeats = 1200;
  const auto part = testing::persistent_frames(280, columns, 0.1);
  std::vector<float> frames;
  for (std::int64_t i = 0; i < repeats; ++i) frames.insert(frames.end(), part.begin(), part.end());
  const auto index = testing::index_of(std::vector<std::int64_t>(repeats, 280), 4);
  const auto source = data::flat_source(data::FrameMatrix(testing::matrix(frames, columns)), index, 4, 1);
  core::ThreadPool pool(2);
  SpectralProducts products(4, columns);
  products.begin_scan(0, SpectralProducts::kBands);
  for (std::int64_t b = 0; b < source->n_blocks(); ++b) {
    std::vector<data::FeatureBlock> blocks(1);
    source->load_block(b, blocks[0]);
    products.add(blocks, pool);
  }
  products.end_scan(pool);
  double scale = 0;
  for (std::int64_t i = 0; i < columns; ++i) scale = std::max(scale, products.product(0)[i * columns + i]);
  for (std::int64_t k = 0; k < 4; ++k) {
    for (std::int64_t i = 0; i < columns; i += 3) {
      for (std::int64_t j = 0; j < columns; j += 5) {
        double exact = 0;
        for (std::int64_t t = 0; t + 4 < 280; ++t) {
          exact += static_cast<double>(part[static_cast<std::size_t>(t * columns + i)]) *
                   static_cast<double>(part[static_cast<std::size_t>((t + k) * columns + j)]);
        }
        EXPECT_NEAR(products.product(k)[i * columns + j], static_cast<double>(repeats) * exact, 1e-6 * scale);
      }
    }
  }
}

TEST(SpectralProducts, SameBitsForAnyUnitsChunksAndThreads) {
  const Data data(8, 70);
  const std::vector<double> reference = data.sums(3, 1, 1);
  for (const int bands : {1, 2, 3}) {
    for (const std::int64_t chunk : {1, 3}) {
      for (const int threads : {1, 3}) EXPECT_EQ(data.sums(bands, chunk, threads), reference) << bands;
    }
  }
}

}  // namespace
}  // namespace phase0::models
