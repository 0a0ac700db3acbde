#include "config/duration.h"

#include <gtest/gtest.h>

namespace phase0::config {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsEveryUnitAndSecondsWithoutOne) {
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("5s"), milliseconds(5000));
  EXPECT_EQ(parse_duration("5"), milliseconds(5000));
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
  EXPECT_EQ(parse_duration("0.25s"), milliseconds(250));
  EXPECT_EQ(parse_duration("1.5m"), milliseconds(90'000));
  EXPECT_EQ(parse_duration("1000h"), milliseconds(3'600'000'000));
}

TEST(Duration, RefusesEverythingElse) {
  for (const char* text : {"", "s", "-1s", "+1s", "5 s", "5S", "5sec", "1d", "1e3", "1001h", "nan", "inf",
                           "1.2.3", "0x5", "5s ", " 5s", "99999999999999999999"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace phase0::config
