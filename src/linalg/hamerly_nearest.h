#pragma once

#include <optional>

#include "linalg/bounded_nearest.h"

namespace phase0::linalg {

/// One lower bound a row, of the distance to its second nearest centroid (Hamerly, SDM 2010). Rows that it
/// does not settle go through the product of NearestCentroids.
class HamerlyNearest final : public BoundedNearest {
 public:
  HamerlyNearest(std::int64_t k, std::span<const float> shift, const Kernels& set);

  void move_to(std::span<const float> centroids) override;
  void mark_unsettled(const RowBounds& bounds, std::int64_t n, std::uint8_t* marks) const override;
  void prepare(Workspace& workspace, std::int64_t rows) const override;
  void label(const float* x, std::span<const std::int32_t> rows, const RowBounds& bounds,
             Workspace& workspace) const override;

  static std::int64_t bytes(std::int64_t k, std::int64_t d);
  static std::int64_t workspace_bytes(std::int64_t rows, std::int64_t d);

 private:
  bool settled(const RowBounds& bounds, std::int64_t row) const;

  const Kernels& kernels_;
  std::int64_t k_;
  std::int64_t d_;
  std::vector<float> shift_;
  std::vector<float> centroids_;  ///< as given
  std::optional<NearestCentroids> nearest_;
  CentroidPaths paths_;
};

}  // namespace phase0::linalg
