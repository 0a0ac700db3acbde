#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"

namespace phase0::linalg {

/// What is remembered of a row between two labellings: its label and, in units of BoundedNearest's own
/// bookkeeping, bounds of its distances. A new row is unlabelled.
struct RowBounds {
  static constexpr std::int64_t kGroups = 8;
  float upper;
  std::int32_t label;
  float lower[kGroups];
};
inline constexpr std::int32_t kUnlabelled = -1;

/// The nearest of k centroids that move a little at a time: most rows keep their label, and the triangle
/// inequality proves it without looking at them (Yinyang k-means: Ding et al., ICML 2015). Neighbouring
/// centroids stand in up to eight groups; per row an upper bound of the distance to its own centroid and a
/// lower bound of that to all others of each group are kept, and only groups that come into question are
/// computed.
///
/// Labels are those of NearestCentroids: of exact arithmetic on the float32 values, ties to the lowest id, on
/// every machine. Between calls of move_to immutable and safe to share.
class BoundedNearest {
 public:
  /// `shift` [d] as for NearestCentroids. `set` outlives this.
  BoundedNearest(std::int64_t k, std::span<const float> shift, const Kernels& set = kernels());

  /// The centroids' new places, [k, d]. Bounds of rows from earlier places stay valid.
  void move_to(std::span<const float> centroids);

  /// Whether the label is certainly still the nearest centroid.
  bool settled(const RowBounds& bounds) const;
  /// Sets the marks of those of n rows that are not settled to 1.
  void mark_unsettled(const RowBounds* bounds, std::int64_t n, std::uint8_t* marks) const;

  /// Row x [d] and x - shift with its squared norm, both as Kernels::shift_and_norms gives them: finds the
  /// label and renews the bounds that were looked at. `scores` has room for score_room(k).
  void update(const float* x, const float* shifted, float norm, RowBounds& bounds, float* scores) const;
  static std::int64_t score_room(std::int64_t k);

  static std::int64_t bytes(std::int64_t k, std::int64_t d);

 private:
  void form_groups(std::span<const float> centroids);
  void extend_paths(std::span<const float> centroids);
  void pack(std::span<const float> centroids);
  bool near_groups(const float* x, const RowBounds& bounds, float& upper,
                   bool (&wanted)[RowBounds::kGroups]) const;
  std::int32_t decide(const float* x, const float* scores, const bool (&wanted)[RowBounds::kGroups],
                      float limit) const;
  void label_exactly(const float* x, RowBounds& bounds) const;

  const Kernels& kernels_;
  std::int64_t k_;
  std::int64_t d_;
  std::int64_t group_size_;  ///< of all but the last group; a multiple of kScoreLanes
  std::int64_t n_groups_;
  /// The centroid in each column of the groups, padding apart; and the column of each centroid.
  std::vector<std::int32_t> centroid_of_, column_of_;
  std::vector<float> shift_;
  std::vector<float> centroids_;       ///< as given
  core::AlignedBuffer<float> packed_;  ///< -2 (c - shift), group by group [d, group_size]
  core::AlignedBuffer<float> norms_;   ///< |c - shift|^2; +inf for padding
  float longest_ = 0;                  ///< max |c - shift|
  ScoreError error_;
  std::vector<double> path_;  ///< [k] length of the way each centroid went so far
  double group_path_[RowBounds::kGroups] = {};
  std::vector<float> path_up_;  ///< the same rounded up
  float group_path_up_[RowBounds::kGroups] = {};
  float slack_ = 0;  ///< for the rounding of the bookkeeping
};

}  // namespace phase0::linalg
