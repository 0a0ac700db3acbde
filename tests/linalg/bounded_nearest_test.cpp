#include "linalg/bounded_nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "linalg/nearest.h"
#include "normals.h"

namespace phase0::linalg {
namespace {

using testing::normals;

/// Rows and centroids that move, labelled with and without bounds.
class Walk {
 public:
  Walk(std::vector<float> x, std::vector<float> centroids, std::int64_t d, std::vector<float> shift,
       const Kernels& set)
      : set_(set),
        x_(std::move(x)),
        centroids_(std::move(centroids)),
        d_(d),
        shift_(std::move(shift)),
        bounded_(BoundedNearest::make(std::ssize(centroids_) / d, shift_, set)),
        rows_(x_.size() / static_cast<std::size_t>(d)),
        values_(rows_.size() * static_cast<std::size_t>(RowBounds::floats(BoundedNearest::groups(d)))),
        bounds_(values_.data(), BoundedNearest::groups(d)) {
    std::iota(rows_.begin(), rows_.end(), 0);
    for (const std::int32_t row : rows_) bounds_.set_label(row, kUnlabelled);
  }

  std::vector<float>& centroids() { return centroids_; }

  /// Labels all rows at the centroids' present places and checks them; returns how many were not settled.
  std::int64_t label() {
    bounded_->move_to(centroids_);
    bounded_->prepare(workspace_, std::ssize(rows_));
    std::vector<std::int32_t> before;
    for (const std::int32_t row : rows_) before.push_back(bounds_.label(row));
    std::vector<std::uint8_t> marks(rows_.size(), 0);
    bounded_->mark_unsettled(bounds_, std::ssize(rows_), marks.data());
    const auto room = room_of(workspace_);
    bounded_->label(x_.data(), rows_, bounds_, workspace_);
    EXPECT_EQ(room_of(workspace_), room) << "label() allocates";
    expect_told(before, marks);
    const NearestCentroids nearest(centroids_, {std::ssize(centroids_) / d_}, d_, shift_, set_);
    NearestCentroids::Workspace workspace;
    nearest.assign(x_.data(), std::ssize(rows_), workspace);
    for (const std::int32_t row : rows_) {
      EXPECT_EQ(bounds_.label(row), workspace.labels[row]) << "row " << row;
    }
    return std::count(marks.begin(), marks.end(), 1);
  }

 private:
  static std::vector<const void*> room_of(const BoundedNearest::Workspace& workspace) {
    return {workspace.relabelled.data(),     workspace.unsettled.data(),
            workspace.rows.data(),           workspace.nearest.tile.data(),
            workspace.nearest.labels.data(), workspace.nearest.squared.data(),
            workspace.nearest.second.data(), workspace.nearest.error.data(),
            workspace.scores.data(),         workspace.open.data()};
  }
  /// Every change was told, and none of a row that was settled.
  void expect_told(std::vector<std::int32_t> labels, const std::vector<std::uint8_t>& marks) {
    for (const auto& [row, before] : workspace_.relabelled) {
      EXPECT_EQ(labels[static_cast<std::size_t>(row)], before);
      EXPECT_EQ(marks[static_cast<std::size_t>(row)], 1);
      labels[static_cast<std::size_t>(row)] = bounds_.label(row);
    }
    for (const std::int32_t row : rows_) {
      EXPECT_EQ(labels[static_cast<std::size_t>(row)], bounds_.label(row));
    }
  }

  const Kernels& set_;
  std::vector<float> x_;
  std::vector<float> centroids_;
  std::int64_t d_;
  std::vector<float> shift_;
  std::unique_ptr<BoundedNearest> bounded_;
  std::vector<std::int32_t> rows_;
  std::vector<float> values_;
  RowBounds bounds_;
  BoundedNearest::Workspace workspace_;
};

class BoundedNearestOn : public ::testing::TestWithParam<const Kernels*> {};
INSTANTIATE_TEST_SUITE_P(Sets, BoundedNearestOn, ::testing::ValuesIn(available_kernels()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(BoundedNearestOn, FollowsCentroidsThatMoveFarAndNear) {
  for (const std::int64_t d : {1, 3, 8, 37, 130}) {
    for (const std::int64_t k : {1, 2, 7, 8, 64, 65, 300}) {
      for (const double offset : {0.0, 1e4}) {
        Walk walk(normals(200 * d, 1.0, offset, 1), normals(k * d, 1.0, offset, 2), d,
                  std::vector<float>(static_cast<std::size_t>(d), static_cast<float>(offset)), *GetParam());
        EXPECT_EQ(walk.label(), 200);
        for (int step = 0; step < 12; ++step) {
          const auto by =
              normals(k * d, step % 4 == 3 ? 0.3 : 1e-3, 0.0, 10 + static_cast<std::uint64_t>(step));
          for (std::size_t e = 0; e < by.size(); ++e) walk.centroids()[e] += by[e];
          walk.label();
        }
      }
    }
  }
}

void expect_spared_rows(std::int64_t d, const Kernels& set) {
  const std::int64_t k = 16;
  const std::vector<float> centroids = normals(k * d, 3.0, 0.0, 2);
  std::vector<float> x = normals(1000 * d, 1.0, 0.0, 1);
  for (std::int64_t r = 0; r < 1000; ++r) {
    for (std::int64_t j = 0; j < d; ++j) {
      x[static_cast<std::size_t>(r * d + j)] += centroids[static_cast<std::size_t>(r % k * d + j)];
    }
  }
  Walk walk(x, centroids, d, std::vector<float>(static_cast<std::size_t>(d), 0.0f), set);
  EXPECT_EQ(walk.label(), 1000);
  for (float& value : walk.centroids()) value += 0.01f;
  EXPECT_LT(walk.label(), 50);
}

TEST_P(BoundedNearestOn, SparesMostRowsOnceCentroidsMoveLittle) {
  for (const std::int64_t d : {12, 32}) expect_spared_rows(d, *GetParam());
}

TEST_P(BoundedNearestOn, DecidesTiesForTheLowestId) {
  for (const std::size_t d : {5U, 20U}) {
    const auto n = static_cast<std::int64_t>(d);
    std::vector<float> centroids = normals(9 * n, 1.0, 0.0, 3);
    const std::vector<float> twin(centroids.begin() + 2 * n, centroids.begin() + 3 * n);
    centroids.insert(centroids.end(), twin.begin(), twin.end());
    std::vector<float> x = normals(300 * n, 1.0, 0.0, 4);
    std::copy(twin.begin(), twin.end(), x.begin());
    Walk walk(std::move(x), centroids, n, std::vector<float>(d, 0.0f), *GetParam());
    walk.label();
    EXPECT_GT(walk.label(), 0);  // rows of the twins can never settle
    std::swap_ranges(walk.centroids().begin(), walk.centroids().begin() + n, walk.centroids().end() - n);
    walk.label();
  }
}

TEST_P(BoundedNearestOn, ManagesTheEndsOfTheRange) {
  for (const std::size_t d : {9U, 18U}) {
    const auto n = static_cast<std::int64_t>(d);
    for (const double scale : {1e-42, 1e-30, 1e15, 1e25, 1e37}) {
      Walk walk(normals(100 * n, scale, 0.0, 5), normals(20 * n, scale, 0.0, 6), n,
                std::vector<float>(d, 0.0f), *GetParam());
      walk.label();
      for (int step = 0; step < 3; ++step) {
        for (float& value : walk.centroids()) value *= 1.01f;
        walk.label();
      }
    }
  }
}

TEST_P(BoundedNearestOn, ForgetsNoCentroidWhoseNormIsInfiniteInFloat32) {
  for (const std::size_t d : {4U, 17U}) {
    const auto n = static_cast<std::int64_t>(d);
    std::vector<float> centroids(2 * d, 0.0f);
    centroids[d] = 2.5e19f;
    Walk walk(normals(50 * n, 1e19, 0.0, 7), centroids, n, std::vector<float>(d, 0.0f), *GetParam());
    for (const float place : {2.5e19f, 1.5e19f, 0.5e19f, 1e15f, -1e19f}) {
      walk.centroids()[d] = place;
      walk.label();
    }
  }
}

}  // namespace
}  // namespace phase0::linalg
