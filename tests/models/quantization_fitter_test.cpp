#include "models/quantization_fitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/sources.h"

namespace phase0::models {
namespace {

using data::Quantization;
using Kind = Quantization::Kind;

Quantization fit(Kind kind, const std::vector<float>& rows, std::int64_t dim, std::int64_t group, int workers,
                 std::int64_t block) {
  testing::Machine machine(workers);
  const std::int64_t n = std::ssize(rows) / dim;
  QuantizationFitter fitter(kind, n, dim, group, workers);
  std::vector<std::int64_t> firsts;
  for (std::int64_t first = 0; first < n; first += block) firsts.push_back(first);
  std::reverse(firsts.begin(), firsts.end());  // in any order
  int worker = 0;
  for (const std::int64_t first : firsts) {
    fitter.add(worker, first, std::min(block, n - first), rows.data() + first * dim);
    worker = (worker + 1) % workers;
  }
  return fitter.finish(machine.execution);
}

TEST(QuantizationFitter, StepsSpanTheRangeOfAGroup) {
  const std::vector<float> rows = {-1, 10, 5, 0,  //
                                   3,  20, 5, 0,  //
                                   0,  15, 5, -0.0F};
  const Quantization tables = fit(Kind::kInt8, rows, 4, 1, 1, 1);
  EXPECT_EQ(tables.scale, (std::vector<float>{4.0F / 255, 10.0F / 255, 0, 0}));
  for (std::size_t g = 0; g < 4; ++g) {
    const double least = std::vector<double>{-1, 10, 5, 0}[g];
    EXPECT_EQ(tables.offset[g], static_cast<float>(least + 128 * static_cast<double>(tables.scale[g])));
    EXPECT_FALSE(std::signbit(tables.offset[g]) && tables.offset[g] == 0);
  }
  const Quantization grouped = fit(Kind::kInt8, rows, 4, 3, 2, 2);
  EXPECT_EQ(grouped.scale, (std::vector<float>{21.0F / 255, 0}));
}

TEST(QuantizationFitter, TablesDependOnTheRowsAlone) {
  const std::int64_t dim = 7;
  const std::vector<float> rows = testing::normals(3000 * dim, 3, 2.0, 1.0);
  for (const Kind kind : {Kind::kInt8, Kind::kInt4}) {
    for (const std::int64_t group : {1, 3, 7}) {
      const Quantization expected = fit(kind, rows, dim, group, 1, 3000);
      for (const std::int64_t block : {1, 37, 1000}) {
        const Quantization tables = fit(kind, rows, dim, group, 3, block);
        EXPECT_EQ(tables.scale, expected.scale);
        EXPECT_EQ(tables.offset, expected.offset);
        EXPECT_EQ(tables.palette, expected.palette);
      }
    }
  }
}

TEST(QuantizationFitter, FewValuesAreThePalette) {
  std::vector<float> rows;
  for (int r = 0; r < 100; ++r) {
    rows.push_back(static_cast<float>(r % 3));
    rows.push_back(-4);
  }
  const Quantization tables = fit(Kind::kInt4, rows, 2, 1, 1, 100);
  ASSERT_EQ(tables.palette.size(), 32U);
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(tables.palette[i], static_cast<float>(std::min<std::size_t>(i, 2)));
    EXPECT_EQ(tables.palette[16 + i], -4);
  }
}

TEST(QuantizationFitter, TheSampleIsEvenlySpread) {
  EXPECT_EQ(QuantizationFitter::sample_rows(5, 3, 1), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  const auto rows = QuantizationFitter::sample_rows(std::int64_t{1} << 40, 512, 1);
  ASSERT_EQ(rows.size(), 16384U);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], static_cast<std::int64_t>(i) << 26);
  EXPECT_EQ(QuantizationFitter::sample_rows(1 << 20, 512, 512).size(), 1024U);
}

}  // namespace
}  // namespace phase0::models
