#include "sources/npy_header.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/bytes.h"
#include "support/expect_error.h"

namespace phase0::sources {
namespace {

using store::ElementType;
using test::le;

constexpr const char* kGood = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";

/// From bytes that end where they end.
NpyHeader read(const std::string& bytes) {
  std::size_t at = 0;
  const auto next = [&](std::int64_t n, void* out) {
    const auto size = static_cast<std::size_t>(n);
    if (size > bytes.size() - at) throw Error(ErrorKind::kData, "the end");
    std::copy_n(bytes.data() + at, size, static_cast<char*>(out));
    at += size;
  };
  return read_npy_header(next, {.path = "a.npy"});
}

std::string with_version(char major, const std::string& text) {
  std::string bytes("\x93NUMPY");
  bytes += major;
  bytes += '\0';
  bytes +=
      major == 1 ? le(static_cast<std::uint16_t>(text.size())) : le(static_cast<std::uint32_t>(text.size()));
  return bytes + text;
}

TEST(NpyHeader, AllVersions) {
  for (const char major : {'\1', '\2', '\3'}) {
    const std::string bytes = with_version(major, std::string(kGood) + "   \n");
    const NpyHeader header = read(bytes + "values");
    EXPECT_EQ(header.shape, (std::vector<std::int64_t>{3, 4}));
    EXPECT_EQ(header.type, ElementType::kFloat32);
    EXPECT_FALSE(header.big_endian || header.fortran_order);
    EXPECT_EQ(header.bytes, std::ssize(bytes));
  }
}

TEST(NpyHeader, WhatOthersMayWrite) {
  const NpyHeader header =
      parse_npy_dictionary("  {\"shape\":(  7L,2 , ) ,'fortran_order' :True,'descr':'>f8'}", {});
  EXPECT_EQ(header.shape, (std::vector<std::int64_t>{7, 2}));
  EXPECT_EQ(header.type, ElementType::kFloat64);
  EXPECT_TRUE(header.big_endian && header.fortran_order);
  EXPECT_EQ(parse_npy_dictionary("{'descr': '<f2', 'fortran_order': False, 'shape': ()}", {}).shape.size(),
            0U);
}

TEST(NpyHeader, WritesWhatItReads) {
  for (const ElementType type : {ElementType::kFloat16, ElementType::kFloat32, ElementType::kFloat64}) {
    for (const std::vector<std::int64_t>& shape :
         {std::vector<std::int64_t>{3, 4}, {5}, {123456789, 512}, {0, 1}}) {
      const std::string bytes = npy_header(type, shape);
      const NpyHeader header = read(bytes);
      EXPECT_EQ(header.type, type);
      EXPECT_EQ(header.shape, shape);
      EXPECT_EQ(header.bytes, std::ssize(bytes));
      EXPECT_EQ(bytes.size() % 64, 0U);
    }
  }
}

TEST(NpyHeader, RefusesDamage) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "the end"},
      {"\x93NUMP", "the end"},
      {"\x93NUMPZ\x01_________", "does not begin with"},
      {"PK\3\4______________", "does not begin with"},
      {with_version(4, kGood), "version 4.0"},
      {with_version(0, kGood), "version 0.0"},
      {with_version(1, kGood).substr(0, 20), "the end"},
      {with_version(1, std::string(20'000, ' ')), "20000 bytes long"},
      {std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12), "4294967295 bytes long"},
  };
  for (const auto& [bytes, fragment] : cases) {
    test::expect_error(ErrorKind::kData, fragment, [&bytes = bytes] { read(bytes); });
  }
}

TEST(NpyHeader, RefusesOtherDictionaries) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "'{' is missing"},
      {"{", "a string is missing"},
      {"{}", "must be there"},
      {"{'descr': '<f4', 'shape': (3, 4)}", "must be there"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)", "missing between two keys"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } x", "stands behind"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}", "twice"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 4)}", "True or False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, -4)}", "no size"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4)}", "no size"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}", "',' is missing"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': [3, 4]}", "'(' is missing"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, __import__('os'))}", "no size"},
      {"{'descr': '<f4, 'fortran_order': False, 'shape': (3, 4)}", "missing between two keys"},
      {"{'descr': '<f4", "no end"},
      {"{'descr': '<\\x664', 'fortran_order': False, 'shape': (3, 4)}", "escapes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'more': 1}", "unknown key 'more'"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", "records"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (3, 4)}", "type '|O'"},
      {"{'descr': '<i4', 'fortran_order': False, 'shape': (3, 4)}", "type '<i4'"},
      {"{'descr': '<f16', 'fortran_order': False, 'shape': (3, 4)}", "type '<f16'"},
      {"{'descr': '', 'fortran_order': False, 'shape': (3, 4)}", "type ''"},
  };
  for (const auto& [text, fragment] : cases) {
    test::expect_error(ErrorKind::kData, fragment, [text = text] { parse_npy_dictionary(text, {}); });
  }
  std::string wide = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < 40; ++i) wide += "1, ";
  test::expect_error(ErrorKind::kData, "too many dimensions", [&] { parse_npy_dictionary(wide + ")}", {}); });
}

}  // namespace
}  // namespace phase0::sources
