#include "data/latents_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "support/raw_h5_file.h"

namespace phase0::data {
namespace {

using store::ElementType;

template <typename T>
const std::byte* bytes(const std::vector<T>& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}

TEST(LatentsValues, EveryHalfIsExact) {
  std::vector<std::uint16_t> halves(65'536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<float> ours(halves.size());
  to_float32(ElementType::kFloat16, bytes(halves), 65'536, ours.data());
  std::vector<float> theirs(halves.size());
  std::memcpy(theirs.data(), halves.data(), halves.size() * 2);
  const hid_t half = test::RawH5File::half_type();
  ASSERT_GE(H5Tconvert(half, H5T_NATIVE_FLOAT, 65'536, theirs.data(), nullptr, H5P_DEFAULT), 0);
  H5Tclose(half);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const bool finite = std::isfinite(theirs[i]);
    if (std::isnan(theirs[i])) {
      EXPECT_TRUE(std::isnan(ours[i])) << i;
    } else {
      EXPECT_EQ(ours[i], theirs[i]) << i;
      EXPECT_EQ(std::signbit(ours[i]), std::signbit(theirs[i])) << i;
    }
    EXPECT_EQ(first_unusable(ElementType::kFloat16, bytes(halves) + 2 * i, 1, kLargestFrameValue),
              finite ? 1 : 0)
        << i;
  }
}

TEST(LatentsValues, TheFirstBadValueIsFoundWhereverItIs) {
  for (const std::int64_t at : {0, 1, 4095, 4096, 9998, 9999}) {
    std::vector<float> values(10'000, std::numeric_limits<float>::max());
    EXPECT_EQ(first_unusable(ElementType::kFloat32, bytes(values), 10'000, kLargestEnergy), 10'000);
    values[9999] = std::numeric_limits<float>::quiet_NaN();
    values[static_cast<std::size_t>(at)] = -std::numeric_limits<float>::infinity();
    EXPECT_EQ(first_unusable(ElementType::kFloat32, bytes(values), 10'000, kLargestEnergy), at);
    EXPECT_EQ(first_unusable(ElementType::kFloat32, bytes(values) + 4 * (at + 1), 9999 - at, kLargestEnergy),
              at == 9999 ? 0 : 9999 - at - 1);
  }
}

TEST(LatentsValues, DoublesMustBeFiniteAsFloat32) {
  const double limit = 0x1.ffffffp127;  // half way between the largest float32 and the next power of two
  const std::vector<double> values = {
      std::nextafter(limit, 0), -std::nextafter(limit, 0), limit, -limit, 1e300, std::nan(""), -INFINITY};
  std::vector<float> floats(values.size());
  to_float32(ElementType::kFloat64, bytes(values), 7, floats.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(first_unusable(ElementType::kFloat64, bytes(values) + 8 * i, 1, kLargestEnergy),
              std::isfinite(floats[i]) ? 1 : 0)
        << i;
  }
  EXPECT_EQ(describe_unusable(ElementType::kFloat64, bytes(values) + 8 * 4, kLargestEnergy),
            "a value beyond float32");
  EXPECT_EQ(describe_unusable(ElementType::kFloat64, bytes(values) + 8 * 5, kLargestEnergy), "NaN");
  EXPECT_EQ(describe_unusable(ElementType::kFloat64, bytes(values) + 8 * 6, kLargestEnergy), "infinity");
}

TEST(LatentsValues, FramesEndWhereTheirSquaresWouldLeaveFloat32) {
  const float above = std::nextafter(kLargestFrameValue, INFINITY);
  const std::vector<float> floats = {kLargestFrameValue, -kLargestFrameValue, above, -above, 1e30f, 1e-45f};
  const std::vector<double> doubles(floats.begin(), floats.end());
  for (std::size_t i = 0; i < floats.size(); ++i) {
    const std::int64_t fine = std::abs(floats[i]) <= kLargestFrameValue ? 1 : 0;
    const auto* stored = bytes(floats) + 4 * i;
    EXPECT_EQ(first_unusable(ElementType::kFloat32, stored, 1, kLargestFrameValue), fine) << i;
    EXPECT_EQ(first_unusable(ElementType::kFloat32, stored, 1, kLargestEnergy), 1) << i;
    EXPECT_EQ(first_unusable(ElementType::kFloat64, bytes(doubles) + 8 * i, 1, kLargestFrameValue), fine)
        << i;
  }
  EXPECT_EQ(describe_unusable(ElementType::kFloat32, bytes(floats) + 4 * 4, kLargestFrameValue),
            "1e+30 (at most 1e+15 in magnitude is computed with)");
}

}  // namespace
}  // namespace phase0::data
