#include "report/axis.h"

#include <gtest/gtest.h>

#include <cmath>

namespace phase0::report {
namespace {

Extent extent(double lo, double hi) {
  Extent e;
  e.add(hi);
  e.add(lo);
  e.add(std::nan(""));
  return e;
}

std::vector<std::string> labels(const Axis& axis) {
  std::vector<std::string> out;
  for (const Tick& tick : axis.ticks()) out.push_back(tick.label);
  return out;
}

TEST(Axis, LinearTicksAreRound) {
  EXPECT_EQ(labels(Axis::linear(extent(0.57, 1.0), 6)),
            (std::vector<std::string>{"0.5", "0.6", "0.7", "0.8", "0.9", "1.0"}));
  EXPECT_EQ(labels(Axis::linear(extent(0, 100), 6)),
            (std::vector<std::string>{"0", "20", "40", "60", "80", "100"}));
  EXPECT_EQ(labels(Axis::linear(extent(-0.1, 0.1), 5)),
            (std::vector<std::string>{"-0.10", "-0.05", "0.00", "0.05", "0.10"}));
}

TEST(Axis, MapsItsEndsToItsPixels) {
  Axis axis = Axis::linear(extent(0, 10), 6);
  axis.place(300, 100);
  EXPECT_DOUBLE_EQ(axis.at(0), 300);
  EXPECT_DOUBLE_EQ(axis.at(10), 100);
  EXPECT_DOUBLE_EQ(axis.at(2.5), 250);
  Axis decades = Axis::logarithmic(extent(3, 900));
  decades.place(0, 300);
  EXPECT_NEAR(decades.at(1), 0, 1e-9);
  EXPECT_NEAR(decades.at(10), 100, 1e-9);
  EXPECT_NEAR(decades.at(1000), 300, 1e-9);
}

TEST(Axis, StandsDegenerateExtents) {
  for (Axis axis :
       {Axis::linear(Extent(), 6), Axis::linear(extent(0.5, 0.5), 6), Axis::linear(extent(0, 0), 6),
        Axis::linear(extent(1e300, 2e300), 6), Axis::logarithmic(Extent()), Axis::logarithmic(extent(1, 1)),
        Axis::logarithmic(extent(1, 1e12))}) {
    axis.place(0, 100);
    ASSERT_GE(axis.ticks().size(), 2U);
    ASSERT_LE(axis.ticks().size(), 12U);
    for (const Tick& tick : axis.ticks()) {
      EXPECT_GE(axis.at(tick.value), -1e-6);
      EXPECT_LE(axis.at(tick.value), 100 + 1e-6);
      EXPECT_LT(tick.label.size(), 14U) << tick.label;
    }
  }
}

TEST(Axis, LabelsCountsShortly) {
  EXPECT_EQ(short_count(500), "500");
  EXPECT_EQ(short_count(20000), "20k");
  EXPECT_EQ(short_count(5e6), "5M");
}

}  // namespace
}  // namespace phase0::report
