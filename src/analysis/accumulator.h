#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/byte_stream.h"
#include "core/zeroed_buffer.h"
#include "linalg/kernels.h"

namespace phase0::analysis {

/// Dimensions that are summed together; a constant, because sums over dimensions are grouped by it.
inline constexpr std::int64_t kTileWidth = linalg::kSlotWidth;

/// One row of a chunk and the sums it is added to: slot = cluster * n_planes + plane.
using Entry = linalg::SlotPair;

/// Sums of squares of a set of rows with cluster labels. The float64 figures add up over tiles of dimensions.
struct GroupSums {
  std::int64_t n_rows = 0;
  std::int64_t n_clusters = 0;  ///< clusters with at least one row
  double raw = 0;               ///< sum of |z|^2
  double within = 0;            ///< sum of |z - mean of its cluster|^2
  double total = 0;             ///< sum of |z - mean|^2

  /// Takes in the same rows' sums over another tile.
  void add_tile(const GroupSums& tile);
  /// within / total; empty when the rows do not differ (up to rounding) or there are none.
  std::optional<double> variance_ratio() const;
  /// (within / (n - K)) / (total / (n - 1)); empty where a denominator is not positive.
  std::optional<double> adjusted_variance_ratio() const;
};

using TileRow = std::array<double, kTileWidth>;

/// Count, sum of |z|^2 and sum of z over some rows and a tile.
struct TileSums {
  std::int64_t count = 0;
  double norm = 0;
  TileRow sum{};

  void add(const TileSums& other);
  /// Sum of |z - mean|^2.
  double deviation() const;
};

/// Puts the sums of squares of a tile together, cluster by cluster in a fixed order.
class Reduction {
 public:
  void add(const TileSums& cluster);
  GroupSums result() const;

 private:
  std::int64_t n_clusters_ = 0;
  double within_ = 0;
  TileSums all_;
};

/// Diagonal Gaussian entropies, 0.5 * sum_d ln max(var_d, 1e-10); add up over tiles.
struct EntropySums {
  double unconditional = 0;
  double weighted = 0;      ///< sum over clusters with at least 2 rows of n_k H_k
  std::int64_t n_rows = 0;  ///< rows of those clusters

  void add_tile(const EntropySums& tile);
};

/// Sums of one tile of the normalised deltas per cluster and plane (see PlaneMap). A reduction takes a group:
/// the planes whose sum is the set of rows asked for. Not thread-safe.
class TileAccumulator {
 public:
  /// In `n_values(..)` zeros of the caller's, which must outlive it.
  TileAccumulator(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares, std::span<double> zeros);
  /// In memory of its own.
  TileAccumulator(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares);

  /// z: [chunk rows, kTileWidth], zero in columns beyond the last dimension; norms: |z|^2 of each row of the
  /// tile.
  void add(std::span<const Entry> entries, const double* z, const double* norms);

  /// Of a cluster over the planes of a group.
  TileSums pool(std::int64_t cluster, std::span<const std::int32_t> planes) const;
  /// Over the given clusters, in their order; the others must have no rows.
  GroupSums reduce(std::span<const std::int32_t> clusters, std::span<const std::int32_t> planes) const;
  /// Needs squares. `width`: dimensions that are really there.
  EntropySums entropy(std::span<const std::int32_t> planes, std::int64_t width) const;
  /// For each cluster the sum over dimensions of the variance (ddof 0); 0 without rows.
  std::vector<double> cluster_variances(std::span<const std::int32_t> planes) const;
  /// Back to zero for these clusters.
  void clear(std::span<const std::int32_t> clusters);

  /// The rows that every slot took, for another of the same shape to go on from; the caller keeps the sums.
  /// load() throws Error (kStorage) for another shape's.
  void save_rows(core::ByteSink& sink) const;
  void load_rows(core::ByteSource& source);

  std::int64_t n_clusters() const { return n_clusters_; }
  std::int64_t n_planes() const { return n_planes_; }
  static std::int64_t n_values(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares);
  static std::int64_t bytes(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares);

 private:
  TileAccumulator(std::int64_t n_clusters, std::int64_t n_planes, bool with_squares,
                  core::ZeroedBuffer<double> own);
  TileRow pool_squares(std::int64_t cluster, std::span<const std::int32_t> planes) const;

  std::int64_t n_clusters_;
  std::int64_t n_planes_;
  std::vector<linalg::SlotRows> rows_;  ///< [slot]
  core::ZeroedBuffer<double> own_;      ///< or empty
  double* sums_;                        ///< [slot, kTileWidth]
  double* squares_;                     ///< the same, or null
};

}  // namespace phase0::analysis
