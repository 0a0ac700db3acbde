#include "run/lag_groups.h"

#include <gtest/gtest.h>

#include "run/session_options.h"

namespace phase0::run {
namespace {

TEST(LagGroups, HoldLagsThatLieAtMostAWindowApart) {
  Options options = test::session_options("run");
  options.context.window_size = 4;
  options.context.lags = {9, 1, 2, 5, 6};
  const std::vector<LagGroup> groups = pca_lag_groups(options, Storage::kWindow, 8);
  EXPECT_EQ(groups, (std::vector<LagGroup>{{1, 2, 5}, {6, 9}}));
  EXPECT_EQ(span_of(groups[0], 4), 8);
  const models::PcaTask task = pca_task(groups[0], options, Storage::kWindow, 3, "scratch");
  EXPECT_EQ(task.window, 4);
  EXPECT_EQ(task.starts, (std::vector<std::int64_t>{4, 3, 0}));
  EXPECT_EQ(task.span(), 8);
}

TEST(LagGroups, StoredContextsAndTheIncrementalSvdStandAlone) {
  Options options = test::session_options("run");
  options.context.lags = {1, 2};
  const std::vector<LagGroup> alone = {{1}, {2}};
  EXPECT_EQ(pca_lag_groups(options, Storage::kDense, 8), alone);
  EXPECT_EQ(pca_task(alone[1], options, Storage::kDense, 3, "scratch").window, 1);
  EXPECT_EQ(pca_lag_groups(options, Storage::kWindow, 100'000), alone);  // too large a covariance
  EXPECT_EQ(pca_lag_groups(options, Storage::kWindow, 5000), alone);     // 1.9 GiB, and 2.6 for both
  options.clustering.pca_method = PcaMethod::kIncrementalSvd;
  EXPECT_EQ(pca_lag_groups(options, Storage::kWindow, 8), alone);
}

}  // namespace
}  // namespace phase0::run
