#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"

namespace phase0::linalg {

/// What is remembered of rows between two labellings, a few floats each: the label and, in units of
/// BoundedNearest's own bookkeeping, an upper bound of the distance to its centroid and, for each group of
/// centroids, a lower bound of that to all others. A view.
class RowBounds {
 public:
  RowBounds(float* values, std::int64_t n_groups) : values_(values), stride_(floats(n_groups)) {}
  /// Of a row.
  static std::int64_t floats(std::int64_t n_groups) { return 2 + n_groups; }

  std::int32_t label(std::int64_t row) const { return std::bit_cast<std::int32_t>(values_[row * stride_]); }
  void set_label(std::int64_t row, std::int32_t label) const {
    values_[row * stride_] = std::bit_cast<float>(label);
  }
  float& upper(std::int64_t row) const { return values_[row * stride_ + 1]; }
  float* lower(std::int64_t row) const { return values_ + row * stride_ + 2; }

 private:
  float* values_;
  std::int64_t stride_;
};
inline constexpr std::int32_t kUnlabelled = -1;  ///< a new row

/// The nearest of k centroids that move a little at a time: most rows keep their label, and the triangle
/// inequality proves it without looking at them (Yinyang k-means: Ding et al., ICML 2015). Neighbouring
/// centroids stand in up to eight groups; per row an upper bound of the distance to its own centroid and a
/// lower bound of that to all others of each group are kept, and only groups that come into question are
/// computed. Rows of few features have one group, whose distances the product of NearestCentroids gives
/// (Hamerly, SDM 2010).
///
/// Labels are those of NearestCentroids: of exact arithmetic on the float32 values, ties to the lowest id, on
/// every machine. Between calls of move_to immutable and safe to share.
class BoundedNearest {
 public:
  static constexpr std::int64_t kMostGroups = 8;

  /// `shift` [d] as for NearestCentroids. `set` outlives this.
  BoundedNearest(std::int64_t k, std::span<const float> shift, const Kernels& set = kernels());

  /// Of RowBounds, for rows of d values.
  static std::int64_t groups(std::int64_t d) { return d < kBroadFeatures ? 1 : kMostGroups; }
  static std::int64_t bounds_bytes(std::int64_t d) { return 4 * RowBounds::floats(groups(d)); }
  /// The centroids' new places, [k, d]. Bounds of rows from earlier places stay valid.
  void move_to(std::span<const float> centroids);

  /// Sets the marks of those of n rows to 1 whose label may no longer be the nearest centroid.
  void mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const;

  struct Relabelled {
    std::int32_t row = 0;     ///< as in `rows`
    std::int32_t before = 0;  ///< its label; kUnlabelled for a new row
  };
  /// A row that is to be labelled.
  struct Open {
    std::int32_t row = 0;  ///< as in `rows`
    float norm = 0;        ///< squared, of the shifted row
    LeastTwo found[kMostGroups];
    bool wanted[kMostGroups];  ///< groups to look at
  };
  /// Grows within label() to workspace_bytes() of as many rows.
  struct Workspace {
    std::vector<Relabelled> relabelled;   ///< by the last call
    core::AlignedBuffer<float> rows;      ///< [open, d]; shifted where there are groups
    core::AlignedBuffer<float> scores;    ///< [open, score_room(k)]
    std::vector<std::int32_t> unsettled;  ///< as in `rows`
    std::vector<Open> open;
    NearestCentroids::Workspace nearest;
  };
  /// Finds the labels of those of the rows x [rows, d] that are not settled, and renews their bounds: x[i] is
  /// row rows[i] of `bounds`.
  void label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
             Workspace& workspace) const;

  static std::int64_t bytes(std::int64_t k, std::int64_t d);
  static std::int64_t workspace_bytes(std::int64_t rows, std::int64_t k, std::int64_t d);

 private:
  /// With fewer features a row's product with all centroids costs no more than to find out which it needs.
  static constexpr std::int64_t kBroadFeatures = 16;
  /// Rows that are labelled together: what is made of them stays in the second-level cache.
  static constexpr std::int64_t kOpenRows = 64;
  static constexpr std::int64_t kOpenShortRows = 1008;  ///< whole tiles of every kernel, or nearly

  static std::int64_t open_rows(std::int64_t d);
  static std::int64_t score_room(std::int64_t k);
  void form_groups(std::span<const float> centroids);
  void extend_paths(std::span<const float> centroids);
  void pack(std::span<const float> centroids);
  bool settled(const RowBounds& bounds, std::int64_t row) const;
  void open(const float* x, std::int32_t i, const RowBounds& bounds, std::span<const std::int32_t> rows,
            Workspace& workspace) const;
  bool near_groups(const float* x, const RowBounds& bounds, std::int64_t row, float& upper,
                   bool (&wanted)[kMostGroups]) const;
  void close(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
             Workspace& workspace) const;
  void close_few(std::span<const std::int32_t> rows, const RowBounds& bounds, Workspace& workspace) const;
  void score_group(std::int64_t group, Workspace& workspace) const;
  void close_row(const float* x, const RowBounds& bounds, std::int64_t row, const Open& open,
                 const float* scores) const;
  std::int32_t decide(const float* x, const float* scores, const bool (&wanted)[kMostGroups],
                      float limit) const;
  void label_exactly(const float* x, const RowBounds& bounds, std::int64_t row) const;

  const Kernels& kernels_;
  std::int64_t k_;
  std::int64_t d_;
  std::int64_t group_size_;  ///< of all but the last group; a multiple of kScoreLanes
  std::int64_t n_groups_;
  /// The centroid in each column of the groups, padding apart; and the column of each centroid.
  std::vector<std::int32_t> centroid_of_, column_of_;
  std::vector<float> shift_;
  std::vector<float> centroids_;             ///< as given
  std::optional<NearestCentroids> nearest_;  ///< with one group; else those below
  core::AlignedBuffer<float> packed_;        ///< -2 (c - shift), group by group [d, group_size]
  core::AlignedBuffer<float> norms_;         ///< |c - shift|^2; +inf for padding
  float longest_ = 0;                        ///< max |c - shift|
  ScoreError error_;
  std::vector<double> path_;  ///< [k] length of the way each centroid went so far
  double group_path_[kMostGroups] = {};
  std::vector<float> path_up_;  ///< the same rounded up
  float group_path_up_[kMostGroups] = {};
  float slack_ = 0;  ///< for the rounding of the bookkeeping
};

}  // namespace phase0::linalg
