#include "core/text.h"

#include <gtest/gtest.h>

#include "phase0/error.h"

namespace phase0::core {
namespace {

TEST(Text, WellFormedUtf8) {
  for (const char* text : {"", "abc", "é", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "日本",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
}

TEST(Text, MalformedUtf8) {
  // Lone tail, overlong forms, surrogate, above U+10FFFF, cut short, bytes that never occur.
  for (const char* text :
       {"\x80", "a\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xc3", "\xe3\x81", "\xf0\x9f\x98", "\xc3(", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
  EXPECT_EQ(first_invalid_utf8("é\xff"), 2U);
}

TEST(Text, ControlCharacters) {
  EXPECT_EQ(first_control_character("é\x7f"), 2U);
  EXPECT_EQ(first_control_character("a\n\tb\x1b", "\n\t"), 4U);
  EXPECT_EQ(first_control_character("é\xc2\x80"), 2U);  // U+0080
  EXPECT_EQ(first_control_character("é\xc2\x9f"), 2U);
  for (const char* text : {"", "é名", "\xc2\xa0", "\xe2\x80\xae", "\x9b"})
    EXPECT_EQ(first_control_character(text), std::string_view::npos);
}

TEST(Text, WhatCouldDriveATerminalIsEscaped) {
  EXPECT_EQ(printable("a\x1b[31m\x7f"), "a\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J");  // CSI in one character
  EXPECT_EQ(printable("\x9b"
                      "2J\xff"),
            "\\x9b2J\\xff");
  for (const char* text : {"\xc2\x80", "\xc2\x9f", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaa",
                           "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9"}) {
    EXPECT_EQ(printable(text).find_first_not_of("\\x0123456789abcdef"), std::string::npos);
  }
}

TEST(Text, OtherTextIsShownAsItIs) {
  for (const char* text :
       {"", "naïve 名 😀", "\xc2\xa0", "\xe2\x80\xa7", "\xe2\x80\xaf", "\xe2\x81\xa5", "\xe2\x81\xaa"})
    EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable("a\n\tb\r", "\n\t"), "a\n\tb\\x0d");
}

TEST(Text, LongTextIsClippedBetweenCharacters) {
  EXPECT_EQ(clipped("abcd", 4), "abcd");
  EXPECT_EQ(clipped("abcde", 4), "abcd...");
  EXPECT_EQ(clipped("ab\xc3\xa9", 3), "ab...");
  EXPECT_EQ(clipped("😀😀", 7), "😀...");
  EXPECT_EQ(clipped(std::string(10, '\x80'), 5), "\x80\x80...");  // no characters: cut somewhere near
}

TEST(Text, ErrorsClipWhatTheyQuote) {
  const std::string name(1 << 20, 'x');
  const Error error(ErrorKind::kData, "has " + name, {.path = "file", .dataset = name, .utterance = name});
  EXPECT_LT(std::string(error.what()).size(), 5000U);
  EXPECT_EQ(error.place().utterance, name);
}

}  // namespace
}  // namespace phase0::core
