#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace phase0::linalg {

/// Centroids [k, d] in an order in which `group_size` of them at a time lie together: halved along the widest
/// dimension until the parts are groups. Bounds of a group say more the nearer its members are. `shift` [d]
/// is near their mean.
std::vector<std::int32_t> order_in_groups(std::span<const float> centroids, std::span<const float> shift,
                                          std::int64_t group_size);

}  // namespace phase0::linalg
