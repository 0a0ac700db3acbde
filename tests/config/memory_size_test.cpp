#include "config/memory_size.h"

#include "config_cases.h"

namespace phase0::config {
namespace {

TEST(MemorySize, Sizes) {
  const std::vector<std::pair<std::string, std::int64_t>> cases = {{"512MiB", 536870912},
                                                                   {"1GiB", 1073741824},
                                                                   {"1.5GB", 1500000000},
                                                                   {"1 GiB", 1073741824},
                                                                   {"64kib", 65536},
                                                                   {"1G", 1073741824},
                                                                   {"2T", std::int64_t{2} << 40},
                                                                   {"1000B", 1000},
                                                                   {"0.5KB", 500},
                                                                   {"3TB", 3000000000000},
                                                                   {"9007199254740993B", 9007199254740993},
                                                                   {"1TiB", std::int64_t{1} << 40}};
  for (const auto& [text, bytes] : cases) {
    const MemoryOptions memory = parse_memory(text);
    EXPECT_EQ(memory.budget_bytes, bytes) << text;
    EXPECT_FALSE(memory.budget_percent.has_value());
    EXPECT_EQ(parse_memory(format_memory(memory)).budget_bytes, bytes) << format_memory(memory);
  }
  EXPECT_EQ(format_memory({.budget_bytes = 536870912, .budget_percent = {}}), "512MiB");
  EXPECT_EQ(format_memory({.budget_bytes = 1500000000, .budget_percent = {}}), "1500000000B");
}

TEST(MemorySize, AutoAndPercent) {
  EXPECT_FALSE(parse_memory("auto").budget_bytes || parse_memory("auto").budget_percent);
  EXPECT_EQ(format_memory({}), "auto");
  for (const auto& [text, percent] : std::vector<std::pair<std::string, double>>{
           {"25%", 25}, {"100%", 100}, {"0.1 %", 0.1}, {"1e-7%", 1e-7}}) {
    EXPECT_EQ(parse_memory(text).budget_percent, percent) << text;
    EXPECT_EQ(parse_memory(format_memory(parse_memory(text))).budget_percent, percent);
  }
}

TEST(MemorySize, Refused) {
  for (const char* text :
       {"",       "512",    "1.5",           "GiB",    "%",    "0%",     "-5%",   "101%",   "nan%",
        "inf%",   "0B",     "0.1B",          "-1GiB",  "1XB",  "1 GiB ", " 1GiB", "1  GiB", "1GiBs",
        "1e3MiB", "010MiB", "9999999999TiB", "1..5GB", "Auto", "1PiB",   "1,5GB"}) {
    EXPECT_FALSE(try_parse_memory(text).has_value()) << text;
    EXPECT_THROW(parse_memory(text), Error) << text;
  }
  try {
    parse_memory("512");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_EQ(error.message(),
              "expected auto, a size with its unit such as 512MiB or 1.5GB, or a percentage such as 25%, got "
              "\"512\"");
  }
}

}  // namespace
}  // namespace phase0::config
