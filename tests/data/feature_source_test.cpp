#include "data/feature_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/random.h"
#include "store/mapped.h"

namespace phase0::data {
namespace {

std::string folder() {
  return std::filesystem::temp_directory_path().string();
}

/// Frames with the value 1000 t + j in the file's row t, column j; exact in float32 and, for small t, in
/// float16.
store::MappedDataset numbered(std::int64_t rows, std::int64_t columns) {
  auto dataset = store::scratch_matrix(folder(), store::ElementType::kFloat32, rows, columns);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    dataset.mutable_data<float>()[i] = static_cast<float>((i / columns) * 1000 + i % columns);
  }
  return dataset;
}

SampleIndex index_of(const std::vector<std::int64_t>& n_frames, std::int64_t first_t) {
  std::vector<UtteranceRows> rows;
  std::int64_t offset = 0;
  for (std::size_t u = 0; u < n_frames.size(); ++u) {
    UtteranceRows entry;
    entry.utterance = static_cast<std::int32_t>(u);
    entry.frame_offset = offset;
    entry.n_frames = n_frames[u];
    entry.first_t = first_t;
    entry.n_rows = n_frames[u] - first_t;
    if (entry.n_rows > 0) rows.push_back(entry);
    offset += n_frames[u];
  }
  return SampleIndex(std::move(rows));
}

/// Row `row` of a feature as a vector, whatever the window.
std::vector<float> row_of(const FeatureBlock& block, std::int64_t row) {
  for (const Run& run : block.runs) {
    if (row < run.first_row || row >= run.first_row + run.n_rows) continue;
    const float* begin = block.frames.data() + (run.first_frame + row - run.first_row) * block.frame_dim;
    return {begin, begin + block.window * block.frame_dim};
  }
  ADD_FAILURE() << "no run holds row " << row;
  return {};
}

constexpr std::int64_t kDim = 3;
constexpr std::int64_t kWindow = 4;
constexpr std::int64_t kLag = 2;
const std::vector<std::int64_t> kLengths = {20, 5, 6, 40, 7};

class Sources : public ::testing::Test {
 protected:
  SampleIndex index_ = index_of(kLengths, kWindow - 1 + kLag);
  FrameMatrix frames_{numbered(78, kDim)};

  /// (file row of the utterance's first frame, t) of every sample row, from the definition.
  std::vector<std::pair<std::int64_t, std::int64_t>> rows() const {
    std::vector<std::pair<std::int64_t, std::int64_t>> rows;
    std::int64_t offset = 0;
    for (const std::int64_t n : kLengths) {
      for (std::int64_t t = kWindow - 1 + kLag; t < n; ++t) rows.emplace_back(offset, t);
      offset += n;
    }
    return rows;
  }
};

TEST_F(Sources, FlatIsTheWindowThatEndsLagFramesBefore) {
  const auto source = flat_source(frames_, index_, kWindow, kLag);
  const auto expected = rows();
  ASSERT_EQ(source->n_rows(), std::ssize(expected));
  EXPECT_EQ(source->dim(), kWindow * kDim);
  for (const std::int64_t first : {std::int64_t{0}, std::int64_t{3}, std::int64_t{14}}) {
    FeatureBlock block;
    const std::int64_t n = source->n_rows() - first;
    source->load(first, n, block);
    for (std::int64_t r = 0; r < n; ++r) {
      const auto [offset, t] = expected[static_cast<std::size_t>(first + r)];
      const auto row = row_of(block, r);
      for (std::int64_t w = 0; w < kWindow; ++w) {
        const auto frame = static_cast<float>((offset + t - kLag - kWindow + 1 + w) * 1000);
        EXPECT_EQ(row[static_cast<std::size_t>(w * kDim)], frame);
        EXPECT_EQ(row[static_cast<std::size_t>(w * kDim + 2)], frame + 2);
      }
    }
  }
}

TEST_F(Sources, MeanAndDeltaFollowTheirDefinitions) {
  const auto mean = means_source(frames_, index_, kWindow, {kLag});
  const auto delta = delta_source(frames_, index_);
  const auto expected = rows();
  FeatureBlock block;
  mean->load(0, mean->n_rows(), block);
  for (std::size_t r = 0; r < expected.size(); ++r) {
    const auto last = static_cast<double>(expected[r].first + expected[r].second - kLag);
    EXPECT_EQ(block.matrix()[static_cast<std::int64_t>(r) * kDim + 1],
              static_cast<float>((last - 1.5) * 1000 + 1));
  }
  delta->load(0, delta->n_rows(), block);
  for (std::int64_t i = 0; i < delta->n_rows() * kDim; ++i) EXPECT_EQ(block.matrix()[i], 1000.0f);
}

TEST_F(Sources, AnyRangeEqualsThePieceOfTheWhole) {
  const auto source = means_source(frames_, index_, kWindow, {kLag});
  FeatureBlock whole;
  source->load(0, source->n_rows(), whole);
  for (const std::int64_t n : {1, 3, 7}) {
    for (std::int64_t first = 0; first + n <= source->n_rows(); ++first) {
      FeatureBlock part;
      source->load(first, n, part);
      EXPECT_TRUE(std::equal(part.matrix(), part.matrix() + n * kDim, whole.matrix() + first * kDim));
    }
  }
}

/// Every wanted row, and nothing else, stands in `block` as it does in the whole.
void expect_rows(const FeatureSource& source, std::int64_t first, const std::vector<std::int32_t>& wanted,
                 const FeatureBlock& block) {
  FeatureBlock whole;
  source.load(0, source.n_rows(), whole);
  ASSERT_EQ(block.n_rows, std::ssize(wanted));
  EXPECT_EQ(block.first_row, first);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const float* row = block.matrix() + static_cast<std::int64_t>(i) * source.frame_dim();
    const float* expected = whole.matrix() + (first + wanted[i]) * source.frame_dim();
    EXPECT_TRUE(std::equal(row, row + source.frame_dim(), expected)) << "row " << first + wanted[i];
  }
}

TEST_F(Sources, SomeRowsOfABlockAreThoseOfTheWhole) {
  const auto mean = means_source(frames_, index_, kWindow, {kLag});
  const auto subset = subset_source(*mean, {{1, 3}, {5, 6}, {7, 30}, {40, 50}});
  const auto matrix = matrix_source(numbered(30, kDim));
  // Rows of 8 KiB: few of them lie near enough to be read in one piece.
  const SampleIndex long_index = index_of({30, 50}, 1);
  const auto wide = delta_source(FrameMatrix(numbered(80, 2048)), long_index);
  const auto wide_matrix = matrix_source(numbered(40, 2048));
  const auto half = [&](std::int64_t rows, std::int64_t columns) {
    auto dataset = store::scratch_matrix(folder(), store::ElementType::kFloat16, rows, columns);
    auto* values = reinterpret_cast<std::uint16_t*>(dataset.mutable_row(0));
    for (std::int64_t i = 0; i < rows * columns; ++i)
      values[i] = static_cast<std::uint16_t>(0x3c00 + i % 1000);
    return dataset;
  };
  const auto halves = means_source(FrameMatrix(half(78, kDim)), index_, kWindow, {kLag});
  for (const FeatureSource* source :
       {mean.get(), subset.get(), matrix.get(), wide.get(), wide_matrix.get(), halves.get()}) {
    for (const std::int64_t first : {0, 4}) {
      const std::int64_t n = source->n_rows() - first - 2;
      FeatureBlock block;  // reused, as scans do
      for (const std::int32_t step : {1, 2, 5, 11, 1000}) {
        for (const bool were_read_ahead : {false, true}) {
          std::vector<std::int32_t> wanted;
          for (std::int32_t r = step % 3; r < n; r += step) wanted.push_back(r);
          source->load_rows(first, n, wanted, were_read_ahead, block);
          expect_rows(*source, first, wanted, block);
        }
      }
      source->load_rows(first, n, {}, false, block);
      EXPECT_EQ(block.n_rows, 0);
    }
  }
}

TEST_F(Sources, LanesHaveTheRowsOfTheirLagBlockByBlock) {
  const std::vector<std::int64_t> lags = {2, 0, 5};
  const std::int64_t dim = 16384;  // 64 rows a block
  const SampleIndex index = index_of({60, 8, 9, 30, 41}, kWindow - 1 + 5);
  const FrameMatrix frames(numbered(148, dim));
  const auto lanes = means_source(frames, index, kWindow, lags);
  ASSERT_EQ(lanes->lanes(), 3);
  ASSERT_EQ(lanes->n_rows(), 3 * index.n_rows());
  ASSERT_GT(lanes->n_blocks(), 1);
  FeatureBlock block, alone, some;
  for (std::int64_t b = 0; b < lanes->n_blocks(); ++b) {
    lanes->load_block(b, block);
    for (std::size_t lane = 0; lane < lags.size(); ++lane) {
      const auto source = means_source(frames, index, kWindow, {lags[lane]});
      ASSERT_EQ(source->n_blocks(), lanes->n_blocks());
      source->load_block(b, alone);
      ASSERT_EQ(block.n_rows, 3 * alone.n_rows);
      const float* rows = block.matrix() + static_cast<std::int64_t>(lane) * alone.n_rows * dim;
      EXPECT_TRUE(std::equal(rows, rows + alone.n_rows * dim, alone.matrix())) << "lag " << lags[lane];
    }
    for (const std::int32_t step : {1, 2, 7, 40}) {
      for (const bool were_read_ahead : {false, true}) {
        std::vector<std::int32_t> wanted;
        for (std::int32_t r = step % 3; r < block.n_rows; r += step) wanted.push_back(r);
        lanes->load_rows(lanes->block_first(b), block.n_rows, wanted, were_read_ahead, some);
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          const float* expected = block.matrix() + wanted[i] * dim;
          EXPECT_TRUE(
              std::equal(expected, expected + dim, some.matrix() + static_cast<std::int64_t>(i) * dim));
        }
      }
    }
    EXPECT_GE(lanes->block_bytes(), 4 * (block.frames.size() + some.staging.size()));
  }
}

TEST_F(Sources, FewRowsNeedFewFrames) {
  const SampleIndex index = index_of({300}, kWindow);
  const auto source = means_source(FrameMatrix(numbered(300, 2048)), index, kWindow, {0});
  const std::int32_t wanted[] = {3, 4, 250};
  FeatureBlock few;
  source->load_rows(0, source->n_rows(), wanted, false, few);
  EXPECT_EQ(few.staging.size(), kWindow * 2048);  // of the last piece
  FeatureBlock ahead;
  source->load_rows(0, source->n_rows(), wanted, true, ahead);
  EXPECT_EQ(ahead.staging.size(), 299 * 2048);
}

TEST_F(Sources, SubsetKeepsTheOrderOfItsRanges) {
  const auto base = means_source(frames_, index_, kWindow, {kLag});
  const auto subset = subset_source(*base, {{1, 3}, {5, 6}, {15, 20}});
  ASSERT_EQ(subset->n_rows(), 8);
  FeatureBlock all;
  base->load(0, base->n_rows(), all);
  FeatureBlock block;
  subset->load(1, 6, block);
  const std::int64_t rows[] = {2, 5, 15, 16, 17, 18};
  for (std::int64_t r = 0; r < 6; ++r) {
    for (std::int64_t j = 0; j < kDim; ++j)
      EXPECT_EQ(block.matrix()[r * kDim + j], all.matrix()[rows[r] * kDim + j]);
  }
}

TEST_F(Sources, ShapeBoundsWhatABlockTakes) {
  for (const auto& source :
       {flat_source(frames_, index_, kWindow, kLag), means_source(frames_, index_, kWindow, {kLag})}) {
    FeatureBlock block;
    source->load_block(0, block);
    EXPECT_GE(source->block_bytes(), 4 * (block.frames.size() + block.staging.size()));
  }
}

TEST(CanonicalBlocks, DependOnTheRowLengthAlone) {
  EXPECT_EQ(canonical_block_rows(512), 1024);
  EXPECT_EQ(canonical_block_rows(500), 1024);
  EXPECT_EQ(canonical_block_rows(4096), 128);
  EXPECT_EQ(canonical_block_rows(1), 16384);
  EXPECT_EQ(canonical_block_rows(1 << 20), 64);
}

}  // namespace
}  // namespace phase0::data
