#include "linalg/bounded_nearest.h"

#include "linalg/hamerly_nearest.h"
#include "linalg/yinyang_nearest.h"

namespace phase0::linalg {
namespace {

/// With fewer features a row's product with all centroids costs no more than to find out which it needs.
constexpr std::int64_t kBroadFeatures = 16;

bool broad(std::int64_t d) {
  return d >= kBroadFeatures;
}

}  // namespace

std::unique_ptr<BoundedNearest> BoundedNearest::make(std::int64_t k, std::span<const float> shift,
                                                     const Kernels& set) {
  if (broad(std::ssize(shift))) return std::make_unique<YinyangNearest>(k, shift, set);
  return std::make_unique<HamerlyNearest>(k, shift, set);
}

std::int64_t BoundedNearest::groups(std::int64_t d) {
  return broad(d) ? CentroidPaths::kMostGroups : 1;
}

std::int64_t BoundedNearest::bytes(std::int64_t k, std::int64_t d) {
  return broad(d) ? YinyangNearest::bytes(k, d) : HamerlyNearest::bytes(k, d);
}

std::int64_t BoundedNearest::workspace_bytes(std::int64_t rows, std::int64_t k, std::int64_t d) {
  return broad(d) ? YinyangNearest::workspace_bytes(rows, k, d) : HamerlyNearest::workspace_bytes(rows, d);
}

}  // namespace phase0::linalg
