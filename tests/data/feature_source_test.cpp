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
  const auto mean = mean_source(frames_, index_, kWindow, kLag);
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
  const auto source = mean_source(frames_, index_, kWindow, kLag);
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

TEST_F(Sources, SubsetKeepsTheOrderOfItsRanges) {
  const auto base = mean_source(frames_, index_, kWindow, kLag);
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
       {flat_source(frames_, index_, kWindow, kLag), mean_source(frames_, index_, kWindow, kLag)}) {
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
