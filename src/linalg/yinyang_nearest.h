#pragma once

#include "linalg/bounded_nearest.h"

namespace phase0::linalg {

/// A lower bound for each group of neighbouring centroids (Yinyang k-means: Ding et al., ICML 2015). Only the
/// groups that come into question are computed, for a few rows at a time.
class YinyangNearest final : public BoundedNearest {
 public:
  YinyangNearest(std::int64_t k, std::span<const float> shift, const Kernels& set);

  void move_to(std::span<const float> centroids) override;
  void mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const override;
  void prepare(Workspace& workspace, std::int64_t rows) const override;
  void label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
             Workspace& workspace) const override;

  static std::int64_t bytes(std::int64_t k, std::int64_t d);
  static std::int64_t workspace_bytes(std::int64_t rows, std::int64_t k, std::int64_t d);

 private:
  static constexpr std::int64_t kGroups = CentroidPaths::kMostGroups;

  static std::int64_t score_room(std::int64_t k);
  void form_groups(std::span<const float> centroids);
  void pack();
  bool settled(const RowBounds& bounds, std::int64_t row) const;
  void open(const float* x, std::int32_t i, const RowBounds& bounds, std::span<const std::int32_t> rows,
            Workspace& workspace) const;
  bool near_groups(const float* x, const RowBounds& bounds, std::int64_t row, float& upper,
                   bool (&wanted)[kGroups]) const;
  void close(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
             Workspace& workspace) const;
  void score_group(std::int64_t group, Workspace& workspace) const;
  void close_row(const float* x, const RowBounds& bounds, std::int64_t row, const Open& open,
                 const float* scores) const;
  std::int32_t decide(const float* x, const float* scores, const bool (&wanted)[kGroups], float limit) const;
  void label_exactly(const float* x, const RowBounds& bounds, std::int64_t row) const;

  const Kernels& kernels_;
  std::int64_t k_;
  std::int64_t d_;
  std::int64_t group_size_;  ///< of all but the last group; a multiple of kScoreLanes
  std::int64_t n_groups_;
  /// The centroid in each column of the groups, padding apart; and the column and the group of each centroid.
  std::vector<std::int32_t> centroid_of_, column_of_, group_of_;
  std::vector<float> shift_;
  std::vector<float> centroids_;       ///< as given
  core::AlignedBuffer<float> packed_;  ///< -2 (c - shift), group by group [d, group_size]
  core::AlignedBuffer<float> norms_;   ///< |c - shift|^2; +inf for padding
  float longest_ = 0;                  ///< max |c - shift|
  ScoreError error_;
  CentroidPaths paths_;
};

}  // namespace phase0::linalg
