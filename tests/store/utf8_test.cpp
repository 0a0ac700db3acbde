#include "store/utf8.h"

#include <gtest/gtest.h>

namespace phase0::store {
namespace {

TEST(Utf8, WellFormed) {
  for (const char* text : {"", "abc", "é", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "日本",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
}

TEST(Utf8, Malformed) {
  // Lone tail, overlong forms, surrogate, above U+10FFFF, cut short, bytes that never occur.
  for (const char* text :
       {"\x80", "a\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xc3", "\xe3\x81", "\xf0\x9f\x98", "\xc3(", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
}

}  // namespace
}  // namespace phase0::store
