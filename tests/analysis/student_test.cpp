#include "analysis/student.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace phase0::analysis {
namespace {

TEST(StudentQuantile, ClosedForms) {
  for (const double p : {0.51, 0.6, 0.75, 0.9, 0.975, 0.995, 0.9999}) {
    const double one = std::tan(std::numbers::pi * (p - 0.5));
    EXPECT_NEAR(student_t_quantile(p, 1) / one, 1, 1e-10) << p;
    const double two = (2 * p - 1) * std::sqrt(2 / (4 * p * (1 - p)));
    EXPECT_NEAR(student_t_quantile(p, 2) / two, 1, 1e-10) << p;
    EXPECT_DOUBLE_EQ(student_t_quantile(1 - p, 7), -student_t_quantile(1 - (1 - p), 7)) << p;
  }
  EXPECT_NEAR(student_t_quantile(0.5, 3), 0, 1e-12);
}

TEST(StudentQuantile, Tables) {
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736174694, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.975, 5), 2.570581835636314, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.975, 10), 2.228138851964939, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.975, 30), 2.042272456301238, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.95, 10), 1.812461122811676, 1e-9);
}

TEST(StudentQuantile, LargeDegreesOfFreedomFollowTheExpansion) {
  const double z = 1.959963984540054;  // normal 0.975 quantile
  for (const double v : {1e3, 1e4, 1e5, 1e6}) {
    const double expansion =
        z + (std::pow(z, 3) + z) / (4 * v) +
        (5 * std::pow(z, 5) + 16 * std::pow(z, 3) + 3 * z) / (96 * v * v) +
        (3 * std::pow(z, 7) + 19 * std::pow(z, 5) + 17 * std::pow(z, 3) - 15 * z) / (384 * v * v * v);
    EXPECT_NEAR(student_t_quantile(0.975, v), expansion, 1e-9) << v;
  }
}

TEST(IncompleteBeta, ClosedForms) {
  for (const double x : {0.01, 0.3, 0.5, 0.8, 0.999}) {
    EXPECT_NEAR(incomplete_beta(1, 1, x, 1 - x), x, 1e-14);
    EXPECT_NEAR(incomplete_beta(3.5, 1, x, 1 - x), std::pow(x, 3.5), 1e-13);
    EXPECT_NEAR(incomplete_beta(0.5, 0.5, x, 1 - x), 2 / std::numbers::pi * std::asin(std::sqrt(x)), 1e-13);
    EXPECT_NEAR(incomplete_beta(2, 7, x, 1 - x) + incomplete_beta(7, 2, 1 - x, x), 1, 1e-13);
  }
  EXPECT_EQ(incomplete_beta(2, 3, 0, 1), 0);
  EXPECT_EQ(incomplete_beta(2, 3, 1, 0), 1);
}

TEST(Summarise, MeanSpreadAndInterval) {
  const auto summary = summarise(std::vector<double>{1, 2, 3, 4, 6});
  EXPECT_NEAR(*summary.mean, 3.2, 1e-15);
  EXPECT_NEAR(*summary.std, std::sqrt(14.8 / 5), 1e-15);
  const double half = 2.7764451051977987 * std::sqrt(14.8 / 4) / std::sqrt(5.0);  // t at 4 degrees of freedom
  EXPECT_NEAR(*summary.ci_lower, 3.2 - half, 1e-9);
  EXPECT_NEAR(*summary.ci_upper, 3.2 + half, 1e-9);
}

TEST(Summarise, TooFewValues) {
  EXPECT_FALSE(summarise({}).mean);
  const auto one = summarise(std::vector<double>{0.5});
  EXPECT_EQ(one.mean, 0.5);
  EXPECT_EQ(one.std, 0.0);
  EXPECT_FALSE(one.ci_lower);
  EXPECT_FALSE(one.ci_upper);
}

}  // namespace
}  // namespace phase0::analysis
