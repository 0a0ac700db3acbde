#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "linalg/centroid_paths.h"
#include "linalg/kernels.h"
#include "linalg/nearest.h"
#include "linalg/row_bounds.h"

namespace phase0::linalg {

/// The nearest of k centroids that move a little at a time: most rows keep their label, and the triangle
/// inequality proves it without looking at them. Of broad rows neighbouring centroids stand in up to eight
/// groups with a lower bound each, and only groups that come into question are computed (YinyangNearest);
/// rows of few features have one (HamerlyNearest).
///
/// Labels are those of NearestCentroids: of exact arithmetic on the float32 values, ties to the lowest id, on
/// every machine. Between calls of move_to immutable and safe to share.
class BoundedNearest {
 public:
  struct Relabelled {
    std::int32_t row = 0;     ///< as in `rows`
    std::int32_t before = 0;  ///< its label; kUnlabelled for a new row
  };
  /// A row that is to be labelled.
  struct Open {
    std::int32_t row = 0;  ///< as in `rows`
    float norm = 0;        ///< squared, of the shifted row
    LeastTwo found[CentroidPaths::kMostGroups];
    bool wanted[CentroidPaths::kMostGroups];  ///< groups to look at
  };
  /// Grows within prepare() to workspace_bytes() of as many rows.
  struct Workspace {
    std::vector<Relabelled> relabelled;   ///< by the last call
    std::vector<std::int32_t> unsettled;  ///< as in `rows`
    core::AlignedBuffer<float> rows;      ///< [open, d]; shifted where there are groups
    NearestCentroids::Workspace nearest;  ///< with one group; else those below
    core::AlignedBuffer<float> scores;    ///< [open, padded k]
    std::vector<Open> open;
  };

  /// For rows of `shift.size()` values; `shift` as for NearestCentroids. `set` outlives it.
  static std::unique_ptr<BoundedNearest> make(std::int64_t k, std::span<const float> shift,
                                              const Kernels& set = kernels());
  virtual ~BoundedNearest() = default;

  /// Of RowBounds, for rows of d values.
  static std::int64_t groups(std::int64_t d);
  static std::int64_t bounds_bytes(std::int64_t d) { return 4 * RowBounds::floats(groups(d)); }
  static std::int64_t bytes(std::int64_t k, std::int64_t d);
  static std::int64_t workspace_bytes(std::int64_t rows, std::int64_t k, std::int64_t d);

  /// The centroids' new places, [k, d]. Bounds of rows from earlier places stay valid.
  virtual void move_to(std::span<const float> centroids) = 0;
  /// Sets the marks of those of n rows to 1 whose label may no longer be the nearest centroid.
  virtual void mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const = 0;
  /// Makes room for `rows` rows at most, so that label() allocates nothing.
  virtual void prepare(Workspace& workspace, std::int64_t rows) const = 0;
  /// Finds the labels of those of the rows x [rows, d] that are not settled, and renews their bounds: x[i] is
  /// row rows[i] of `bounds`.
  virtual void label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
                     Workspace& workspace) const = 0;
};

}  // namespace phase0::linalg
