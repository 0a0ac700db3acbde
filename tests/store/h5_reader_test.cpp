#include "store/h5_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "store/atomic_file.h"
#include "support/expect_error.h"
#include "support/raw_h5_file.h"
#include "support/temporary_folder.h"

namespace phase0::store {
namespace {

using test::expect_error;
using test::RawH5File;
using test::RawLayout;

/// A file with one thing in it, opened.
H5Reader open_file_with(const test::TemporaryFolder& folder, const std::function<void(RawH5File&)>& fill) {
  const std::string path = folder.file("raw.h5");
  {
    RawH5File file(path);
    fill(file);
  }
  return H5Reader(path);
}

std::vector<float> ramp(std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), -3.0F);
  return values;
}

TEST(H5Reader, AttributesConvert) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    const std::int16_t small = -7;
    const std::uint64_t huge = ~std::uint64_t{0};
    const float single = 0.5F;
    char fixed[8] = "ab\0xx";
    raw.attribute("/", "small", H5T_STD_I16LE, &small);
    raw.attribute("/", "huge", H5T_STD_U64LE, &huge);
    raw.attribute("/", "single", H5T_IEEE_F32LE, &single);
    raw.attribute("/", "whole", 3.0);
    raw.attribute("/", "text", "naïve");
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 5);
    raw.attribute("/", "fixed", type, fixed);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    raw.attribute("/", "nul_inside", type, fixed);
    H5Tclose(type);
    raw.attribute("/", "bad_text", "\xff\xfe");
  });
  EXPECT_EQ(file.read_int("/", "small"), -7);
  EXPECT_EQ(file.read_double("/", "small"), -7.0);
  EXPECT_EQ(file.read_double("/", "single"), 0.5);
  EXPECT_EQ(file.read_int("/", "whole"), 3);
  EXPECT_EQ(file.read_string("/", "text"), "naïve");
  EXPECT_EQ(file.read_string("/", "fixed"), "ab");
  EXPECT_EQ(file.read_name("/", "small"), "-7");
  EXPECT_EQ(file.read_name("/", "text"), "naïve");
  EXPECT_TRUE(file.has_attribute("/", "text"));
  EXPECT_FALSE(file.has_attribute("/", "none"));
  const auto fails = [&](const std::string& fragment, auto read) {
    expect_error(ErrorKind::kData, fragment, read);
  };
  fails("attribute huge is out of range", [&] { file.read_int("/", "huge"); });
  fails("attribute single is not an integer", [&] { file.read_int("/", "single"); });
  fails("attribute text is not a number", [&] { file.read_double("/", "text"); });
  fails("attribute small is not a string", [&] { file.read_string("/", "small"); });
  fails("attribute single is neither", [&] { file.read_name("/", "single"); });
  fails("attribute none is missing", [&] { file.read_double("/", "none"); });
  fails("not valid UTF-8", [&] { file.read_string("/", "bad_text"); });
  fails("NUL", [&] { file.read_string("/", "nul_inside"); });
}

TEST(H5Reader, ElementTypes) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    const std::int64_t zeros[2] = {};
    const hid_t half = RawH5File::half_type();
    raw.dataset("/f16", half, {2}, zeros);
    raw.dataset("/f32", H5T_IEEE_F32LE, {2}, zeros);
    raw.dataset("/f64", H5T_IEEE_F64LE, {2}, zeros);
    raw.dataset("/u8", H5T_STD_U8LE, {2}, zeros);
    raw.dataset("/i32", H5T_STD_I32LE, {2}, zeros);
    raw.dataset("/i64", H5T_STD_I64LE, {2}, zeros);
    raw.dataset("/f32be", H5T_IEEE_F32BE, {2}, zeros);
    raw.strings("/text", {"a", "b"});
    H5Tclose(half);
  });
  EXPECT_EQ(file.info("/f16").type, ElementType::kFloat16);
  EXPECT_EQ(file.info("/f32").type, ElementType::kFloat32);
  EXPECT_EQ(file.info("/f64").type, ElementType::kFloat64);
  EXPECT_EQ(file.info("/u8").type, ElementType::kUInt8);
  EXPECT_EQ(file.info("/i32").type, ElementType::kInt32);
  EXPECT_EQ(file.info("/i64").type, ElementType::kInt64);
  EXPECT_FALSE(file.info("/f32be").type.has_value());
  EXPECT_TRUE(file.info("/text").is_string);
  EXPECT_EQ(file.info("/f16").bytes, 4);
  std::byte out[16];
  expect_error(ErrorKind::kData, "/f32be: is not float32",
               [&] { file.read_rows("/f32be", ElementType::kFloat32, 0, 2, out); });
  expect_error(ErrorKind::kData, "/f64: is not float32", [&] { file.map("/f64", ElementType::kFloat32); });
}

/// Every way of storing a matrix gives the same rows.
class StoredMatrix : public testing::TestWithParam<RawLayout> {};

TEST_P(StoredMatrix, RowsReadBack) {
  const test::TemporaryFolder folder;
  constexpr std::int64_t kRows = 23;
  constexpr std::int64_t kColumns = 7;
  const std::vector<float> values = ramp(kRows * kColumns);
  write_file_atomically(folder.file("seed"), "");
  expect_error(ErrorKind::kData, "", [&] { H5Reader(folder.file("seed")); });  // registers zstd
  const H5Reader file = open_file_with(folder, [&](RawH5File& raw) {
    raw.dataset("/x", H5T_IEEE_F32LE, {kRows, kColumns}, values.data(), GetParam());
  });
  std::vector<float> out(values.size());
  for (const std::int64_t step : {1, 4, 5, 23}) {
    std::fill(out.begin(), out.end(), 0.0F);
    for (std::int64_t first = 0; first < kRows; first += step) {
      const std::int64_t n = std::min(step, kRows - first);
      file.read_rows("/x", ElementType::kFloat32, first, n, out.data() + first * kColumns);
    }
    EXPECT_EQ(out, values) << step;
  }
  EXPECT_EQ(file.read_double_dataset("/x"), std::vector<double>(values.begin(), values.end()));
  file.read_rows("/x", ElementType::kFloat32, kRows, 0, nullptr);
  expect_error(ErrorKind::kData, "23 rows",
               [&] { file.read_rows("/x", ElementType::kFloat32, 20, 4, out.data()); });
  const bool plain = GetParam().chunk.empty() && !GetParam().compact;
  EXPECT_EQ(file.info("/x").contiguous, plain);
  if (plain) {
    EXPECT_EQ(
        std::memcmp(file.map("/x", ElementType::kFloat32).data<float>(), values.data(), values.size() * 4),
        0);
  } else {
    expect_error(ErrorKind::kData, "cannot be mapped", [&] { file.map("/x", ElementType::kFloat32); });
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, StoredMatrix,
    testing::Values(RawLayout{}, RawLayout{.compact = true}, RawLayout{.chunk = {5, 7}},
                    RawLayout{.chunk = {4, 3}}, RawLayout{.chunk = {5, 7}, .gzip = 4},
                    RawLayout{.chunk = {6, 2}, .shuffle = true, .gzip = 9},
                    RawLayout{.chunk = {5, 7}, .zstd = 3},
                    RawLayout{.chunk = {23, 7}, .shuffle = true, .fletcher32 = true, .zstd = 1},
                    RawLayout{.chunk = {3, 5}, .fletcher32 = true},
                    RawLayout{.chunk = {1, 7}, .fletcher32 = true, .gzip = 1}));

TEST(H5Reader, MapsTheFileThatWasChecked) {
  const test::TemporaryFolder folder;
  const std::vector<float> values = ramp(100);
  const H5Reader file = open_file_with(
      folder, [&](RawH5File& raw) { raw.dataset("/x", H5T_IEEE_F32LE, {100}, values.data()); });
  ASSERT_TRUE(file.info("/x").contiguous);
  write_file_atomically(file.path(), std::string(std::size_t{1} << 16, 'a'));
  const MappedDataset x = file.map("/x", ElementType::kFloat32);
  EXPECT_EQ(std::memcmp(x.data<float>(), values.data(), values.size() * sizeof(float)), 0);
  std::vector<float> out(100);
  x.read(0, 100, out.data());
  EXPECT_EQ(out, values);
}

TEST(H5Reader, IntegersConvertExactly) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    const std::uint8_t bytes[] = {0, 255};
    const std::int16_t swapped[] = {0x0100, 0x7fff};
    const std::uint64_t huge[] = {1, ~std::uint64_t{0}};
    const float reals[] = {1, 2};
    raw.dataset("/u8", H5T_STD_U8LE, {2}, bytes);
    raw.dataset("/be", H5T_STD_I16BE, {2}, swapped);
    raw.dataset("/huge", H5T_STD_U64LE, {2}, huge);
    raw.dataset("/reals", H5T_IEEE_F32LE, {2}, reals);
    raw.ints("/gzip", {5, 6, 7}, {.chunk = {2}, .gzip = 1});
  });
  EXPECT_EQ(file.read_int_dataset("/u8"), (std::vector<std::int64_t>{0, 255}));
  EXPECT_EQ(file.read_int_dataset("/be"), (std::vector<std::int64_t>{1, -129}));
  EXPECT_EQ(file.read_int_dataset("/gzip"), (std::vector<std::int64_t>{5, 6, 7}));
  EXPECT_EQ(file.read_name_dataset("/u8"), (std::vector<std::string>{"0", "255"}));
  EXPECT_EQ(file.read_double_dataset("/u8"), (std::vector<double>{0, 255}));
  expect_error(ErrorKind::kData, "out of range", [&] { file.read_int_dataset("/huge"); });
  expect_error(ErrorKind::kData, "integer type", [&] { file.read_int_dataset("/reals"); });
  expect_error(ErrorKind::kData, "string", [&] { file.read_name_dataset("/reals"); });
}

TEST(H5Reader, StringsOfEveryKind) {
  const test::TemporaryFolder folder;
  std::vector<std::string> many;
  for (int i = 0; i < 10'000; ++i) many.push_back("utt-" + std::to_string(i));
  const H5Reader file = open_file_with(folder, [&](RawH5File& raw) {
    raw.strings("/plain", {"a", "", "ü"});
    raw.strings("/many", many, {.chunk = {300}, .gzip = 3});
    raw.strings("/bad", {"fine", "\xc3("});
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 4);
    H5Tset_strpad(type, H5T_STR_SPACEPAD);
    raw.dataset("/spaces", type, {2}, "ab  cdef");
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    raw.dataset("/nulls", type, {2}, "ab\0\0cdef");
    raw.dataset("/inside", type, {1}, "a\0b\0");
    H5Tclose(type);
  });
  EXPECT_EQ(file.read_string_dataset("/plain"), (std::vector<std::string>{"a", "", "ü"}));
  EXPECT_EQ(file.read_string_dataset("/many"), many);
  EXPECT_EQ(file.read_string_dataset("/spaces"), (std::vector<std::string>{"ab", "cdef"}));
  EXPECT_EQ(file.read_name_dataset("/nulls"), (std::vector<std::string>{"ab", "cdef"}));
  expect_error(ErrorKind::kData, "string 1 is not valid UTF-8", [&] { file.read_string_dataset("/bad"); });
  expect_error(ErrorKind::kData, "NUL", [&] { file.read_string_dataset("/inside"); });
}

TEST(H5Reader, MembersInByteOrder) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    for (const char* name : {"/b", "/a", "/B", "/é", "/a0"}) raw.group(name);
  });
  EXPECT_EQ(file.members("/"), (std::vector<std::string>{"B", "a", "a0", "b", "é"}));
  EXPECT_FALSE(file.exists("/a/none"));
  EXPECT_FALSE(file.exists("/none/x"));
  EXPECT_TRUE(file.exists("/"));
}

/// Looked up, such a name leads to another object, and a slash for every other byte took the whole stack.
TEST(H5Reader, MembersWhoseNamesArePathsAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  std::string deep;
  for (int i = 0; i < 30'000; ++i) deep += "@/";
  for (const std::string& forged :
       {std::string("@/@@"), std::string("\0@@@", 4), std::string(".\0@@", 4), deep}) {
    for (const bool is_link : {false, true}) {
      SCOPED_TRACE(is_link);
      const std::string name(forged.size(), '@');
      {
        RawH5File raw(path);
        is_link ? raw.soft_link("/none", "/" + name) : raw.group("/" + name);
      }
      std::string bytes = read_file(path, 1 << 20);
      const std::size_t at = bytes.find(name);
      ASSERT_NE(at, std::string::npos);
      bytes.replace(at, name.size(), forged);
      write_file_atomically(path, bytes);
      const H5Reader file(path);
      const auto look_up = [&] {
        for (const std::string& member : file.members("/")) file.is_group("/" + member);
      };
      expect_error(ErrorKind::kData, "a member's name is empty, \".\" or has a slash in it", look_up);
    }
  }
}

/// A few MB of file gave GB of names.
TEST(H5Reader, MembersWhoseNamesOverlapAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const std::string name(4000, '@');
  {
    RawH5File raw(path);
    raw.group("/" + name);
    for (int i = 0; i < 1000; ++i) {
      H5Lcreate_hard(raw.id(), "/", raw.id(), ("/m" + std::to_string(i)).c_str(), H5P_DEFAULT, H5P_DEFAULT);
    }
  }
  EXPECT_EQ(H5Reader(path).members("/").size(), 1001U);
  // The heap of names says at 24 where they are; an entry of a node of members begins with a place there.
  std::string bytes = read_file(path, 1 << 24);
  const auto number = [&](std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
  };
  std::uint64_t place = bytes.find(name) - number(bytes.find("HEAP") + 24);
  for (std::size_t node = bytes.find("SNOD"); node != std::string::npos;
       node = bytes.find("SNOD", node + 1)) {
    for (std::size_t i = 0; i < (number(node) >> 48U); ++i, ++place) {
      std::memcpy(bytes.data() + node + 8 + 40 * i, &place, sizeof(place));
    }
  }
  write_file_atomically(path, bytes);
  expect_error(ErrorKind::kData, "names overlap", [&] { H5Reader(path).members("/"); });
}

TEST(H5Reader, MembersWithVeryLongNamesAreRefused) {
  const test::TemporaryFolder folder;
  for (const std::size_t n : {4096, 4097}) {
    const H5Reader file =
        open_file_with(folder, [&](RawH5File& raw) { raw.group("/" + std::string(n, 'a')); });
    if (n <= 4096) {
      EXPECT_EQ(file.members("/").size(), 1U);
    } else {
      expect_error(ErrorKind::kData, "thousands of bytes", [&] { file.members("/"); });
    }
  }
}

TEST(H5Reader, PathsMayHaveAnyNumberOfParts) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) { raw.ints("/a/b//c/x", {1}); });
  EXPECT_TRUE(file.exists("/a/b/c/x"));
  EXPECT_TRUE(file.exists("a//b/c/"));
  EXPECT_FALSE(file.exists("/a/b/d/x"));
  EXPECT_FALSE(file.exists("/a/b/c/x/y"));
  EXPECT_EQ(file.read_int_dataset("//a/b/c//x"), std::vector<std::int64_t>{1});
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "/a";
  EXPECT_FALSE(file.exists(deep));
}

TEST(H5Reader, OnlyHardLinksAreFollowed) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    raw.ints("/g/x", {1});
    raw.soft_link("/g/x", "/soft");
    raw.soft_link("/g", "/soft_group");
    raw.group("/h");
    raw.external_link("/etc/other.h5", "/x", "/h/outside");
  });
  for (const char* name : {"/soft", "/soft_group", "/soft_group/x", "/h/outside"}) {
    expect_error(ErrorKind::kData, "only hard links", [&] { file.exists(name); });
    expect_error(ErrorKind::kData, "only hard links", [&] { file.info(name); });
  }
  expect_error(ErrorKind::kData, "/soft", [&] { file.members("/"); });
  expect_error(ErrorKind::kData, "/h/outside", [&] { file.members("/h"); });
  EXPECT_EQ(file.read_int_dataset("/g/x"), std::vector<std::int64_t>{1});
}

TEST(H5Reader, DataOutsideTheFileIsRefused) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    raw.external_storage("/external", H5T_STD_U8LE, {16}, "/etc/passwd");
    raw.virtual_dataset("/virtual", H5T_STD_U8LE, {16}, "other.h5", "/x");
  });
  expect_error(ErrorKind::kData, "/external: has external raw storage", [&] { file.info("/external"); });
  expect_error(ErrorKind::kData, "/virtual: is a virtual dataset", [&] { file.info("/virtual"); });
}

TEST(H5Reader, WrongObjectsAreNamed) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    raw.group("/g");
    raw.ints("/x", {1, 2});
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    raw.dataset("/unwritten", H5T_IEEE_F32LE, {3}, nullptr, properties);
    const hsize_t chunk = 2;
    H5Pset_chunk(properties, 1, &chunk);
    raw.dataset("/no_chunks", H5T_IEEE_F32LE, {3}, nullptr, properties);
    H5Pset_nbit(properties);
    raw.dataset("/nbit", H5T_STD_I32LE, {2}, "12345678", properties);
    H5Pclose(properties);
  });
  float out[3];
  expect_error(ErrorKind::kData, "/g: is not a dataset", [&] { file.info("/g"); });
  expect_error(ErrorKind::kData, "/none: is missing", [&] { file.info("/none"); });
  expect_error(ErrorKind::kData, "/x: is not a group", [&] { file.members("/x"); });
  expect_error(ErrorKind::kData, "never written",
               [&] { file.read_rows("/unwritten", ElementType::kFloat32, 0, 3, out); });
  expect_error(ErrorKind::kData, "never written", [&] { file.map("/unwritten", ElementType::kFloat32); });
  expect_error(ErrorKind::kData, "only 0 of its 2 chunks", [&] { file.info("/no_chunks"); });
  expect_error(ErrorKind::kData, "filter 5 (nbit) is not supported", [&] { file.info("/nbit"); });
}

TEST(H5Reader, ChunksMustFitInMemory) {
  const test::TemporaryFolder folder;
  const H5Reader file = open_file_with(folder, [](RawH5File& raw) {
    raw.dataset("/x", H5T_STD_U8LE, {std::int64_t{1} << 29}, nullptr, {.chunk = {std::int64_t{1} << 29}});
  });
  expect_error(ErrorKind::kData, "smaller chunks", [&] { file.info("/x"); });
}

TEST(H5Reader, NotAnHdf5File) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder.file("text"), "hello");
  expect_error(ErrorKind::kData, "not a readable HDF5 file", [&] { H5Reader(folder.file("text")); });
  expect_error(ErrorKind::kStorage, "not a readable HDF5 file",
               [&] { H5Reader(folder.file("text"), ErrorKind::kStorage); });
  expect_error(ErrorKind::kData, "not a regular file", [&] { H5Reader(folder.path()); });
  expect_error(ErrorKind::kStorage, "No such file", [&] { H5Reader(folder.file("none")); });
}

TEST(H5Reader, ATruncatedFileIsRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const std::vector<float> values = ramp(10'000);
  {
    RawH5File raw(path);
    raw.dataset("/x", H5T_IEEE_F32LE, {10'000}, values.data());
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 5000);
  expect_error(ErrorKind::kData, "truncated", [&] { H5Reader file(path); });
}

TEST(H5Reader, AForgedOffsetIsFound) {
  const test::TemporaryFolder folder;
  const std::string path = folder.file("f.h5");
  const std::vector<float> values = ramp(10'000);
  std::int64_t offset = 0;
  {
    RawH5File raw(path);
    raw.dataset("/x", H5T_IEEE_F32LE, {10'000}, values.data());
  }
  offset = H5Reader(path).info("/x").offset;
  ASSERT_GT(offset, 0);
  // The layout message holds the offset and then the size; the data offset is moved so that it ends behind
  // the file.
  std::string bytes = read_file(path, 1 << 20);
  const std::int64_t key[2] = {offset, 40'000};
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(key), sizeof(key)));
  ASSERT_NE(at, std::string::npos);
  const std::int64_t forged = offset + 100;
  std::memcpy(bytes.data() + at, &forged, sizeof(forged));
  write_file_atomically(path, bytes);
  expect_error(ErrorKind::kData, "", [&] { H5Reader(path).info("/x"); });
}

TEST(H5Reader, TheProgramsOwnErrorSettingComesBack) {
  const test::TemporaryFolder folder;
  H5E_auto2_t before = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &data);
  expect_error(ErrorKind::kStorage, "", [&] { H5Reader(folder.file("none")); });
  H5E_auto2_t after = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &after, &data);
  EXPECT_EQ(before, after);
}

}  // namespace
}  // namespace phase0::store
