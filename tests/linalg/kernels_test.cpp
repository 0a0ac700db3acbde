#include "linalg/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "phase0/error.h"

namespace phase0::linalg {
namespace {

TEST(Kernels, HalfToFloatIsExactForEveryHalf) {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<float> floats(halves.size());
  for (const Kernels* table : available_kernels()) {
    table->half_to_float(halves.data(), floats.data(), std::ssize(halves));
    for (std::size_t i = 0; i < halves.size(); ++i) {
      const int exponent = static_cast<int>(i >> 10) & 31;
      const int mantissa = static_cast<int>(i) & 1023;
      const double sign = (i >> 15) != 0 ? -1.0 : 1.0;
      if (exponent == 31) {
        EXPECT_EQ(std::isnan(floats[i]), mantissa != 0);
        EXPECT_EQ(std::isinf(floats[i]), mantissa == 0);
        continue;
      }
      const double expected =
          sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
      EXPECT_EQ(static_cast<double>(floats[i]), expected) << table->name << " half " << i;
      EXPECT_EQ(std::signbit(floats[i]), sign < 0);
    }
  }
}

TEST(Kernels, FixedPointSumsDoNotDependOnOrder) {
  core::Random random(11);
  const std::int64_t n = 1000;
  const std::int64_t d = 13;
  std::vector<float> x(static_cast<std::size_t>(n * d));
  for (float& value : x)
    value = static_cast<float>(random.normal() * std::pow(10.0, random.uniform() * 6 - 4));
  std::vector<float> shift(13);
  for (float& value : shift) value = static_cast<float>(random.normal());
  const double scale = 0x1p30;
  for (const Kernels* table : available_kernels()) {
    std::vector<std::int64_t> forward(13, 0);
    std::vector<std::int64_t> backward(13, 0);
    for (std::int64_t r = 0; r < n; ++r) {
      table->accumulate_fixed(x.data() + r * d, shift.data(), scale, forward.data(), d);
      table->accumulate_fixed(x.data() + (n - 1 - r) * d, shift.data(), scale, backward.data(), d);
    }
    EXPECT_EQ(forward, backward);
    for (std::int64_t j = 0; j < d; ++j) {
      double exact = 0;
      for (std::int64_t r = 0; r < n; ++r)
        exact += std::nearbyint(static_cast<double>(x[r * d + j] - shift[j]) * scale);
      const auto bias = static_cast<std::uint64_t>(n) * std::bit_cast<std::uint64_t>(kFixedMagic);
      EXPECT_EQ(static_cast<std::int64_t>(static_cast<std::uint64_t>(forward[j]) - bias),
                static_cast<std::int64_t>(exact));
    }
  }
}

TEST(Kernels, NormsAndDistancesMatchFloat64) {
  core::Random random(12);
  for (const std::int64_t d : {1, 7, 16, 33, 512}) {
    std::vector<float> x(static_cast<std::size_t>(3 * d));
    std::vector<float> shift(static_cast<std::size_t>(d));
    for (float& value : x) value = static_cast<float>(random.normal());
    for (float& value : shift) value = static_cast<float>(random.normal());
    for (const Kernels* table : available_kernels()) {
      std::vector<float> out(x.size());
      float norms[3];
      table->shift_and_norms(x.data(), shift.data(), out.data(), norms, 3, d);
      for (std::int64_t r = 0; r < 3; ++r) {
        double exact = 0;
        for (std::int64_t j = 0; j < d; ++j) {
          EXPECT_EQ(out[r * d + j], x[r * d + j] - shift[j]);
          exact += static_cast<double>(out[r * d + j]) * static_cast<double>(out[r * d + j]);
        }
        EXPECT_NEAR(norms[r], exact, 1e-5 * exact);
        EXPECT_NEAR(table->squared_distance(x.data() + r * d, shift.data(), d), exact, 1e-6 * exact);
      }
    }
  }
}

TEST(Kernels, UnavailableChoiceIsAConfigurationError) {
  try {
    select_kernels(KernelChoice::kAmx);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_NE(std::string(error.what()).find("portable"), std::string::npos);
  }
  EXPECT_STREQ(select_kernels(KernelChoice::kPortable).name, "portable");
  select_kernels(KernelChoice::kAuto);
}

}  // namespace
}  // namespace phase0::linalg
