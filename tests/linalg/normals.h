#pragma once

#include <cstdint>
#include <vector>

#include "core/random.h"

namespace phase0::linalg::testing {

/// n normal deviates of a mean and a standard deviation.
inline std::vector<float> normals(std::int64_t n, double scale, double offset, std::uint64_t seed) {
  core::Random random(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(offset + scale * random.normal());
  return values;
}

}  // namespace phase0::linalg::testing
