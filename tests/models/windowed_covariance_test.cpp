#include "models/windowed_covariance.h"

#include <gtest/gtest.h>

#include "models/pca_reference.h"
#include "models/sources.h"

namespace phase0::models {
namespace {

TEST(GramLayout, PanelsHoldTheUpperHalfOnce) {
  for (const auto& [window, d] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {5, 3}, {1, 700}, {4, 256}, {3, 513}}) {
    const GramLayout layout(window, d);
    std::int64_t offset = 0;
    for (std::int64_t i = 0; i < layout.n_panels(); ++i) {
      EXPECT_EQ(layout.panel(i).offset, offset);
      offset += layout.panel(i).size();
      EXPECT_LE(layout.panel(i).size(), layout.panel(0).size());
    }
    EXPECT_EQ(layout.size(layout.all()), offset);
    const std::int64_t full = window * (window + 1) / 2 * d * d;
    EXPECT_LE(offset, full);
    EXPECT_GE(offset, full - window * d * d / 2);
    if (d <= GramLayout::kPanelRows) {
      EXPECT_EQ(offset, full);
    }
  }
}

TEST(GramLayout, GroupsCutAllPanelsInOrderWithinTheirSize) {
  for (const auto& [window, d] :
       {std::pair<std::int64_t, std::int64_t>{1, 5000}, {8, 512}, {300, 4}, {2, 100}}) {
    const GramLayout layout(window, d);
    const std::int64_t least = layout.smallest_group_bytes();
    for (const std::int64_t bytes : {least, 2 * least, 5 * least}) {
      const auto groups = layout.groups(bytes);
      EXPECT_LE(std::ssize(groups), 32);
      std::int64_t next = 0;
      for (const PanelRange& group : groups) {
        EXPECT_EQ(group.first, next);
        EXPECT_LT(group.first, group.end);
        EXPECT_LE(8 * layout.size(group), bytes);
        next = group.end;
      }
      EXPECT_EQ(next, layout.n_panels());
    }
    EXPECT_EQ(layout.groups(8 * layout.size(layout.all())).size(), 1u);
  }
}

TEST(GramLayout, RefusesSizesThatOverflow) {
  EXPECT_THROW(GramLayout(1'000'000, 1'000'000), Error);
}

/// Windows of frames of `columns` values over two utterances.
struct Data {
  Data(std::int64_t n, std::int64_t columns, std::int64_t window)
      : frames(testing::persistent_frames(n, columns, 2.0)),
        index(testing::index_of({n / 3, n - n / 3}, window)),
        matrix(testing::matrix(frames, columns)),
        source(data::flat_source(matrix, index, window, 1)),
        layout(window, columns) {}

  void add(WindowedGram& gram, std::int64_t first, std::int64_t n, core::ThreadPool& pool) const {
    std::vector<data::FeatureBlock> blocks(1);
    source->load(first, n, blocks[0]);
    for (float& value : blocks[0].frames.span()) value -= 2.0f;
    gram.add(blocks, pool);
  }
  /// The covariance from `groups` scans in parts of 400 rows.
  std::unique_ptr<WindowedCovariance> covariance(const std::vector<PanelRange>& groups,
                                                 core::ThreadPool& pool) const {
    auto covariance = std::make_unique<WindowedCovariance>(layout, groups, testing::scratch_folder());
    for (const PanelRange& group : groups) {
      WindowedGram part = covariance->next_part();
      EXPECT_EQ(part.range().end, group.end);
      for (std::int64_t first = 0; first < index.n_rows(); first += 400) {
        add(part, first, std::min<std::int64_t>(400, index.n_rows() - first), pool);
      }
      part.finish(pool);
      covariance->take(part);
    }
    return covariance;
  }

  std::vector<float> frames;
  data::SampleIndex index;
  data::FrameMatrix matrix;
  std::unique_ptr<data::FeatureSource> source;
  GramLayout layout;
};

/// Covariance times `count` random vectors.
std::vector<double> applied(WindowedCovariance& covariance, std::int64_t dim, std::int64_t count,
                            core::ThreadPool& pool) {
  core::Random random(3);
  std::vector<double> x(static_cast<std::size_t>(count * dim));
  for (double& value : x) value = random.normal();
  std::vector<double> y(x.size());
  covariance.apply(0, x.data(), y.data(), count, pool);
  return y;
}

TEST(WindowedCovariance, SameBitsForAnyGroupsAndThreads) {
  const Data data(1500, 300, 4);  // two panels of rows for each of four differences
  ASSERT_EQ(data.layout.n_panels(), 8);
  const std::vector<std::vector<PanelRange>> cuts = {
      {{0, 8}},
      {{0, 1}, {1, 8}},
      {{0, 3}, {3, 7}, {7, 8}},
      {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {7, 8}},
  };
  core::ThreadPool one(1);
  const auto whole = data.covariance(cuts[0], one);
  const std::vector<double> reference = applied(*whole, data.layout.dim(), 5, one);
  for (const int threads : {1, 3}) {
    core::ThreadPool pool(threads);
    for (const auto& groups : cuts) {
      const auto covariance = data.covariance(groups, pool);
      EXPECT_EQ(covariance->total_variance(0), whole->total_variance(0));
      EXPECT_EQ(applied(*covariance, data.layout.dim(), 5, pool), reference) << groups.size();
    }
  }
}

TEST(WindowedCovariance, IsTheCovarianceOfTheWindowsAndSymmetric) {
  for (const auto& [columns, window] : {std::pair<std::int64_t, std::int64_t>{300, 2}, {520, 1}, {7, 6}}) {
    const Data data(900, columns, window);
    core::ThreadPool pool(2);
    const auto covariance = data.covariance(data.layout.groups(data.layout.smallest_group_bytes()), pool);
    const Eigen::MatrixXd rows = testing::windows(data.frames, columns, data.index, window, 1);
    const Eigen::MatrixXd centred = rows.rowwise() - rows.colwise().mean();
    const Eigen::MatrixXd expected = centred.transpose() * centred / static_cast<double>(rows.rows() - 1);
    const std::int64_t dim = data.layout.dim();
    const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(dim, dim);
    Eigen::MatrixXd actual(dim, dim);
    covariance->apply(0, identity.data(), actual.data(), dim, pool);
    EXPECT_LE((actual - expected).cwiseAbs().maxCoeff(), 1e-5 * expected.cwiseAbs().maxCoeff());
    EXPECT_EQ(actual, actual.transpose());
    EXPECT_NEAR(covariance->total_variance(0), expected.trace(), 1e-6 * expected.trace());
  }
}

TEST(WindowedGram, MergedPartsEqualTheWhole) {
  const Data data(2000, 10, 3);
  core::ThreadPool pool(2);
  const auto sum_up = [&](std::int64_t first, std::int64_t n) {
    auto gram = std::make_unique<WindowedGram>(data.layout, data.layout.all());
    data.add(*gram, first, n, pool);
    return gram;
  };
  const auto finished = [&](WindowedGram& gram) {
    gram.finish(pool);
    WindowedCovariance covariance(data.layout, {data.layout.all()}, testing::scratch_folder());
    covariance.take(gram);
    return applied(covariance, data.layout.dim(), 1, pool);
  };
  const auto whole = sum_up(0, data.index.n_rows());
  const auto merged = sum_up(0, 777);
  const auto rest = sum_up(777, data.index.n_rows() - 777);
  merged->merge(*rest, pool);
  EXPECT_EQ(merged->n(), whole->n());
  const std::vector<double> expected = finished(*whole);
  const std::vector<double> actual = finished(*merged);
  double scale = 0;
  for (const double value : expected) scale = std::max(scale, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-5 * scale);
}

}  // namespace
}  // namespace phase0::models
