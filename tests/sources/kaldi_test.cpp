#include <gtest/gtest.h>

#include "sources/kaldi_matrix.h"
#include "sources/kaldi_scp.h"
#include "sources/open_source.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/source_room.h"
#include "support/temporary_folder.h"

namespace phase0::sources {
namespace {

using test::room;

using test::le;

const std::string kBinary("\0B", 2);

std::string sized(std::int32_t value) {
  return '\4' + le(value);
}
std::string float_matrix(std::int32_t rows, std::int32_t columns) {
  std::string bytes = kBinary + "FM " + sized(rows) + sized(columns);
  for (std::int32_t i = 0; i < rows * columns; ++i) bytes += le(static_cast<float>(i));
  return bytes;
}
std::string compressed(const std::string& type, std::int32_t rows, std::int32_t columns) {
  return kBinary + type + " " + le(-1.5F) + le(3.0F) + le(rows) + le(columns);
}
/// Columns with other scales, and every byte.
std::string percentile_matrix(std::int32_t columns) {
  std::string bytes = compressed("CM", 256, columns);
  for (std::int32_t c = 0; c < columns; ++c) {
    for (const int point : {10, 20000, 40000, 65000}) bytes += le(static_cast<std::uint16_t>(point + c));
  }
  for (std::int32_t c = 0; c < columns; ++c) {
    for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value ^ c);
  }
  return bytes;
}

class Kaldi : public ::testing::Test {
 protected:
  InputFile file(const std::string& bytes) const {
    return InputFile(test::write_bytes(folder_.file("a.ark"), bytes));
  }
  void refused(const std::string& bytes, const char* fragment) const {
    const InputFile source = file(bytes);
    test::expect_error(ErrorKind::kData, fragment, [&] { read_kaldi_header(source, 0, "u"); });
    test::expect_error(ErrorKind::kData, "utterance u", [&] { read_kaldi_header(source, 0, "u"); });
  }
  static std::vector<float> rows(const KaldiMatrix& matrix, const InputFile& source, std::int64_t first,
                                 std::int64_t n) {
    std::vector<float> out(static_cast<std::size_t>(n * matrix.n_columns));
    read_kaldi_rows(matrix, source, first, n, reinterpret_cast<std::byte*>(out.data()));
    return out;
  }
  test::TemporaryFolder folder_;
};

TEST_F(Kaldi, DecodesOnOneScale) {
  const InputFile two = file(compressed("CM2", 1, 3) + le(std::vector<std::uint16_t>{0, 1, 65535}));
  const float step = static_cast<float>(3.0 * (1.0 / 65535.0));
  EXPECT_EQ(rows(read_kaldi_header(two, 0, "u"), two, 0, 1),
            (std::vector<float>{-1.5F, -1.5F + step, -1.5F + 65535.0F * step}));
  const InputFile one = file(compressed("CM3", 1, 2) + std::string("\x01\xff", 2));
  const float coarse = static_cast<float>(3.0 * (1.0 / 255.0));
  EXPECT_EQ(rows(read_kaldi_header(one, 0, "u"), one, 0, 1),
            (std::vector<float>{-1.5F + coarse, -1.5F + 255.0F * coarse}));
}

TEST_F(Kaldi, DecodesOnAScalePerColumn) {
  const InputFile source = file(percentile_matrix(3));
  const KaldiMatrix matrix = read_kaldi_header(source, 0, "u");
  const std::vector<float> all = rows(matrix, source, 0, 256);
  const auto point = [](int p) { return -1.5F + 3.0F * 1.52590218966964e-05F * static_cast<float>(p); };
  EXPECT_EQ(all[0 * 3], point(10));
  EXPECT_EQ(all[64 * 3], point(20000));
  EXPECT_EQ(all[192 * 3], point(40000));
  EXPECT_EQ(all[255 * 3], point(65000));
  EXPECT_EQ(all[1 * 3 + 1], point(11));  // byte 0 of the second column
  EXPECT_EQ(all[32 * 3], static_cast<float>(point(10) + (point(20000) - point(10)) * 32.0F * (1 / 64.0)));
}

TEST_F(Kaldi, AnyRowsAndRangeAreThoseOfTheWhole) {
  for (const std::string& bytes : {float_matrix(256, 5), percentile_matrix(5)}) {
    const InputFile source = file(bytes);
    const KaldiMatrix whole = read_kaldi_header(source, 0, "u");
    const std::vector<float> all = rows(whole, source, 0, 256);
    KaldiMatrix part = whole;
    EXPECT_FALSE(select_range(part, {10, 99}, {1, 3}, source, "u"));
    EXPECT_EQ(part.n_rows, 90);
    EXPECT_EQ(part.n_columns, 3);
    for (const auto& [first, n] : {std::pair<std::int64_t, std::int64_t>{0, 90}, {7, 2}, {89, 1}, {3, 0}}) {
      const std::vector<float> some = rows(part, source, first, n);
      for (std::int64_t i = 0; i < 3 * n; ++i) {
        EXPECT_EQ(some[static_cast<std::size_t>(i)],
                  all[static_cast<std::size_t>((10 + first + i / 3) * 5 + 1 + i % 3)]);
      }
    }
  }
}

TEST_F(Kaldi, RangesEndUpToThreeFramesLate) {
  const InputFile source = file(float_matrix(20, 4));
  const KaldiMatrix whole = read_kaldi_header(source, 0, "u");
  KaldiMatrix part = whole;
  EXPECT_TRUE(select_range(part, {10, 22}, {0, 3}, source, "u"));
  EXPECT_EQ(part.n_rows, 10);
  const std::pair<KaldiRange, KaldiRange> outside[] = {{{10, 23}, {}}, {{20, 22}, {}}, {{21, -1}, {}},
                                                       {{}, {0, 4}},   {{}, {4, -1}},  {{0, 2147483647}, {}}};
  for (const auto& [r, c] : outside) {
    test::expect_error(ErrorKind::kData, "is not inside a matrix of 20 x 4", [&, r = r, c = c] {
      KaldiMatrix matrix = whole;
      select_range(matrix, r, c, source, "u");
    });
  }
}

TEST_F(Kaldi, RefusesDamage) {
  refused("", "ends within a matrix");
  refused("FM ", "is not a binary matrix");
  refused(" [ 1 2 ]\n", "is not a binary matrix");
  refused(kBinary, "ends within a matrix");
  refused(kBinary + "XM " + sized(1) + sized(1), "none of FM");
  refused(kBinary + "FV " + sized(3), "is a vector");
  refused(kBinary + std::string(40, 'M'), "no type");
  refused(kBinary + "\4" + le(3), "no type");  // a vector of integers
  refused(kBinary + "FM " + '\10' + le(std::int64_t{3}), "4 bytes was expected");
  refused(kBinary + "FM " + sized(3), "ends within a matrix");
  refused(kBinary + "FM " + sized(0) + sized(4), "0 x 4");
  refused(kBinary + "FM " + sized(-1) + sized(4), "-1 x 4");
  refused(kBinary + "DM " + sized(2147483647) + sized(2147483647), "reaches past the end");
  refused(float_matrix(3, 4).substr(0, 60), "reaches past the end");
  refused(compressed("CM", 2, 2) + std::string(8 * 2 + 3, 'x'), "reaches past the end");
  refused(compressed("CM", 2147483647, 2147483647), "reaches past the end");
  refused(compressed("CM2", 2, 2) + std::string(7, 'x'), "reaches past the end");
  refused(compressed("CM2", -2, -2) + std::string(80, 'x'), "-2 x -2");
  refused(compressed("CM3", 0, 0), "0 x 0");
  refused(kBinary + "CM " + le(1.0F), "ends within a matrix");
}

TEST_F(Kaldi, ReadsArchives) {
  const std::string path =
      test::write_bytes(folder_.file("a.ark"), "one " + float_matrix(3, 2) + "two " + float_matrix(4, 2));
  const auto source = open_kaldi_ark(path, room());
  ASSERT_EQ(source->sequences().size(), 2U);
  EXPECT_EQ(source->sequences()[1].id, "two");
  EXPECT_EQ(source->sequences()[1].n_frames, 4);
  float out[4];
  source->read(1, 2, 2, out);
  EXPECT_EQ(out[0], 4.0F);
  for (const std::string& bytes : {std::string("one"), std::string(5000, 'x'), "\n" + float_matrix(1, 1),
                                   "one\t" + float_matrix(1, 1), " " + float_matrix(1, 1)}) {
    test::write_bytes(path, bytes);
    test::expect_error(ErrorKind::kData, "not a Kaldi archive", [&] { open_kaldi_ark(path, room()); });
  }
}

TEST_F(Kaldi, ParsesScriptLines) {
  const KaldiPointer plain = parse_scp_line("u1  /a b/c.ark:17", "x.scp", 1);
  EXPECT_EQ(plain.id, "u1");
  EXPECT_EQ(plain.path, "/a b/c.ark");
  EXPECT_EQ(plain.offset, 17);
  EXPECT_FALSE(plain.has_range);
  const KaldiPointer ranged = parse_scp_line("u1\tc.mat[:,2:5]", "x.scp", 1);
  EXPECT_EQ(ranged.path, "c.mat");
  EXPECT_EQ(ranged.offset, 0);
  EXPECT_EQ(ranged.rows.last, -1);
  EXPECT_EQ(ranged.columns.first, 2);
  EXPECT_EQ(ranged.columns.last, 5);
}

TEST_F(Kaldi, RefusesScriptLines) {
  const std::pair<const char*, const char*> cases[] = {
      {"u1", "was expected"},
      {"", "was expected"},
      {"u1 touch /tmp/x |", "is a command"},
      {"u1 |cat", "is a command"},
      {"u1 gunzip -c a.gz|", "is a command"},
      {"u1 -", "names no file"},
      {"u1 :5", "names no file"},
      {"u1 a.ark:-5", "is no number"},
      {"u1 a.ark:99999999999999999999", "is no number"},
      {"u1 a.ark:", "is no number"},
      {"u1 a.ark:5[3]", "a range such as"},
      {"u1 a.ark:5[5:3]", "a range such as"},
      {"u1 a.ark:5[-1:3]", "a range such as"},
      {"u1 a.ark:5[1:3,]", "a range such as"},
      {"u1 a.ark:5[1:3,0:1,2:3]", "a range such as"},
      {"u1 a.ark:5 1:3]", "a range such as"},
      {"u1 a.ark:5[1:99999999999]", "a range such as"},
  };
  for (const auto& [line, fragment] : cases) {
    test::expect_error(ErrorKind::kData, fragment, [line = line] { parse_scp_line(line, "x.scp", 3); });
    test::expect_error(ErrorKind::kData, "x.scp:3", [line = line] { parse_scp_line(line, "x.scp", 3); });
  }
}

}  // namespace
}  // namespace phase0::sources
