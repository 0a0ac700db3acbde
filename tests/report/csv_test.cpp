#include "report/csv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "phase0/error.h"
#include "report/number.h"

namespace phase0::report {
namespace {

TEST(CsvField, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_field(std::string("plain name")), "plain name");
  EXPECT_EQ(csv_field(std::string("a,b")), "\"a,b\"");
  EXPECT_EQ(csv_field(std::string("say \"hi\"")), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_field(std::string("two\nlines")), "\"two\nlines\"");
  EXPECT_EQ(csv_field(std::string()), "");
}

TEST(CsvField, NeutralisesFormulas) {
  for (const char start : {'=', '+', '-', '@', '\t'}) {
    const std::string name = std::string(1, start) + "1";
    EXPECT_EQ(csv_field(name), "'" + name);
  }
  EXPECT_EQ(csv_field(std::string("\rx")), "\"'\rx\"");
  EXPECT_EQ(csv_field(std::string("=a,\"b\"")), "\"'=a,\"\"b\"\"\"");
  EXPECT_EQ(csv_field(std::string("a=1")), "a=1");
  EXPECT_EQ(csv_field(-0.25), "-0.25") << "numbers are not text";
  EXPECT_EQ(csv_field(std::int64_t{-3}), "-3");
}

TEST(CsvField, LeavesUndefinedEmpty) {
  EXPECT_EQ(csv_field(std::monostate{}), "");
  EXPECT_EQ(csv_field(std::nan("")), "");
  EXPECT_EQ(csv_field(std::numeric_limits<double>::infinity()), "");
  EXPECT_EQ(csv_field(true), "true");
}

TEST(CsvTable, RefusesRowsOfAnotherLength) {
  CsvTable table({"a", "b"});
  table.row({std::int64_t{1}, 0.5});
  EXPECT_EQ(table.text(), "a,b\n1,0.5\n");
  EXPECT_THROW(table.row({std::int64_t{1}}), Error);
}

TEST(Shortest, ReadsBackExactly) {
  for (const double value :
       {0.1, 1.0 / 3, 1e300, 5e-324, -2.5e-7, 123456789.123456789, 0.30000000000000004}) {
    EXPECT_EQ(std::strtod(shortest(value).c_str(), nullptr), value) << shortest(value);
  }
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(1.0), "1");
  EXPECT_EQ(shortest(0.1F), "0.10000000149011612");
  EXPECT_EQ(shortest(1e23), "1e+23") << "one digit more than needed is printed by many libraries";
}

TEST(ReadableNumbers, RoundAndGroup) {
  EXPECT_EQ(fixed(0.12345), "0.123");
  EXPECT_EQ(fixed(-0.0001), "0.000");
  EXPECT_EQ(fixed(std::nullopt), kUndefined);
  EXPECT_EQ(fixed(std::nan("")), kUndefined);
  EXPECT_EQ(percent(0.1234), "12.3%");
  EXPECT_EQ(count(0), "0");
  EXPECT_EQ(count(999), "999");
  EXPECT_EQ(count(1234567), "1,234,567");
  EXPECT_EQ(count(-1234), "-1,234");
}

}  // namespace
}  // namespace phase0::report
