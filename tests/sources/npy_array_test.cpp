#include "sources/npy_array.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace phase0::sources {
namespace {

using test::le;

std::string header(const std::string& shape, const char* descr = "<f4", const char* fortran = "False") {
  const std::string text = std::string("{'descr': '") + descr + "', 'fortran_order': " + fortran +
                           ", 'shape': (" + shape + "), }\n";
  return std::string("\x93NUMPY\x01\0", 8) + le(static_cast<std::uint16_t>(text.size())) + text;
}

class NpyArray : public ::testing::Test {
 protected:
  InputFile file(const std::string& bytes) const {
    return InputFile(test::write_bytes(folder_.file("a.npy"), bytes));
  }
  static NpyFrames frames(const InputFile& file, std::size_t rank = 2) {
    return NpyFrames(file, 0, file.size(), rank, "a");
  }
  void refused(const std::string& bytes, const char* fragment, std::size_t rank = 2) const {
    const InputFile source = file(bytes);
    test::expect_error(ErrorKind::kData, fragment, [&] { frames(source, rank); });
    test::expect_error(ErrorKind::kData, "a.npy", [&] { frames(source, rank); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(NpyArray, ReadsRowsOfBothOrders) {
  // Columns longer than what is read at a time, so that they come in several pieces.
  const std::int64_t n = NpyFrames::kReadBytes / 4 + 1000;
  std::vector<float> rows(static_cast<std::size_t>(3 * n));
  std::iota(rows.begin(), rows.end(), 0.0F);
  std::vector<float> columns(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    columns[(i % 3) * static_cast<std::size_t>(n) + i / 3] = rows[i];
  }
  const std::string shape = std::to_string(n) + ", 3";
  for (const bool fortran : {false, true}) {
    const InputFile source =
        file(header(shape, "<f4", fortran ? "True" : "False") + le(fortran ? columns : rows));
    const NpyFrames array = frames(source);
    EXPECT_EQ(array.n_frames(), n);
    EXPECT_EQ(array.dim(), 3);
    for (const auto& [first, count] :
         {std::pair<std::int64_t, std::int64_t>{0, n}, {5, 7}, {n - 1, 1}, {0, 0}, {3, n - 3}}) {
      std::vector<float> out(static_cast<std::size_t>(3 * count));
      array.read(source, first, count, reinterpret_cast<std::byte*>(out.data()));
      EXPECT_TRUE(std::equal(out.begin(), out.end(), rows.begin() + 3 * first)) << fortran << " " << first;
    }
  }
}

TEST_F(NpyArray, TurnsBigEndianRound) {
  const InputFile source =
      file(header("2, 1", ">f8") + std::string("\x3f\xf0\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16));
  double out[2];
  frames(source).read(source, 0, 2, reinterpret_cast<std::byte*>(out));
  EXPECT_EQ(out[0], 1.0);
  EXPECT_EQ(out[1], -2.0);
}

TEST_F(NpyArray, RefusesWhatDoesNotFitTheFile) {
  const std::string values = le(std::vector<float>(12, 1.0F));
  refused(header("3, 4") + values.substr(1), "takes 48 bytes, but 47 follow");
  refused(header("3, 4") + values + "x", "takes 48 bytes, but 49 follow");
  refused(header("3, 4"), "but 0 follow");
  refused(header("3037000500, 3037000500") + values, "takes too many bytes");
  refused(header("4611686018427387904, 4") + values, "takes too many bytes");  // 2^64: would wrap to 0
  refused(header("12") + values, "has 1 dimension(s)");
  refused(header("1, 3, 4") + values, "has 3 dimension(s)");
  refused(header("3, 4") + values, "has 2 dimension(s)", 1);
  refused(header("3, 4").substr(0, 30), "within its header");
  refused("", "within its header");
}

}  // namespace
}  // namespace phase0::sources
