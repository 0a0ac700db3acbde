#include "data/row_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/random.h"
#include "data/feature_source.h"
#include "data/frame_matrix.h"
#include "data/latents.h"
#include "data/row_encoder.h"
#include "linalg/kernels.h"
#include "support/expect_error.h"
#include "support/latents_file.h"
#include "support/temporary_folder.h"

namespace phase0::data {
namespace {

using store::ElementType;
using test::expect_error;
using test::LatentsFile;
using test::RawH5File;
using test::RawLayout;

std::vector<float> random_rows(std::int64_t n, std::uint64_t seed) {
  core::Random random(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(3 * random.normal()));
  return values;
}

RowCodec int8_codec(std::int64_t dim, std::int64_t group) {
  Quantization tables;
  tables.group = group;
  for (std::int64_t g = 0; g < (dim + group - 1) / group; ++g) {
    tables.scale.push_back(g == 1 ? 0.0F : 0.07F + 0.01F * static_cast<float>(g));
    tables.offset.push_back(0.3F * static_cast<float>(g));
  }
  return {tables, dim};
}

RowCodec int4_codec(std::int64_t dim, std::int64_t group) {
  Quantization tables;
  tables.kind = Quantization::Kind::kInt4;
  tables.group = group;
  for (std::int64_t g = 0; g < (dim + group - 1) / group; ++g) {
    for (int i = 0; i < 16; ++i) {  // with an entry twice
      tables.palette.push_back(0.1F * static_cast<float>(g) + 0.7F * static_cast<float>(std::max(i, 3) - 8));
    }
  }
  return {tables, dim};
}

std::vector<RowCodec> codecs() {
  return {RowCodec(ElementType::kFloat16, 5),
          int8_codec(1, 1),
          int8_codec(6, 1),
          int8_codec(7, 3),
          int4_codec(1, 1),
          int4_codec(6, 1),
          int4_codec(9, 1),
          int4_codec(7, 2),
          int4_codec(11, 11)};
}

/// The nearest of all values that a column can have, the lower of two.
float nearest_value(const RowCodec& codec, std::int64_t column, float value) {
  const Quantization& tables = *codec.quantization();
  const auto g = static_cast<std::size_t>(column / tables.group);
  float best = 0;
  for (int code = 0; code < (tables.kind == Quantization::Kind::kInt8 ? 256 : 16); ++code) {
    const float decoded = tables.kind == Quantization::Kind::kInt8
                              ? tables.offset[g] + tables.scale[g] * static_cast<float>(code - 128)
                              : tables.palette[g * 16 + static_cast<std::size_t>(code)];
    const auto distance = [value](float to) {
      return std::abs(static_cast<double>(value) - static_cast<double>(to));
    };
    if (code == 0 || distance(decoded) < distance(best)) best = decoded;
  }
  return best;
}

TEST(RowCodec, EveryValueBecomesTheNearestThereIs) {
  for (const RowCodec& codec : codecs()) {
    if (!codec.quantised()) continue;
    const std::int64_t dim = codec.dim();
    const std::int64_t n = 200;
    const std::vector<float> rows = random_rows(n * dim, 7);
    std::vector<std::byte> codes(static_cast<std::size_t>(n * codec.row_bytes()));
    RowEncoder(codec).encode(rows.data(), n, codes.data());
    std::vector<float> decoded(rows.size());
    codec.decode_rows(codes.data(), n, decoded.data());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const float nearest = nearest_value(codec, static_cast<std::int64_t>(i) % dim, rows[i]);
      // Of int8 the steps are even but for the rounding of what they decode to.
      const double more = std::abs(static_cast<double>(rows[i]) - static_cast<double>(decoded[i])) -
                          std::abs(static_cast<double>(rows[i]) - static_cast<double>(nearest));
      EXPECT_LE(more, codec.stored_type() == ElementType::kInt8 ? 1e-5 : 0) << i;
    }
  }
}

TEST(RowCodec, TheLowerOfTwoEntriesAsNearIsTaken) {
  Quantization tables;
  tables.kind = Quantization::Kind::kInt4;
  for (int i = 0; i < 16; ++i) tables.palette.push_back(static_cast<float>(std::min(i, 3)));
  const RowCodec codec(tables, 1);
  const std::vector<float> rows = {-9, 0.5F, std::nextafter(0.5F, 1.0F), 1.5F, 2, 2.5F, 3, 99};
  std::vector<std::byte> codes(rows.size());
  RowEncoder(codec).encode(rows.data(), std::ssize(rows), codes.data());
  const std::vector<int> expected = {0, 0, 1, 1, 2, 2, 3, 15};  // the last entry, again and again
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(static_cast<int>(codes[i]), expected[i]) << rows[i];
}

TEST(RowCodec, Int4PacksTheLowerHalfFirstAndPadsWithZero) {
  const RowCodec codec = int4_codec(3, 3);
  const float* palette = codec.quantization()->palette.data();
  const std::vector<float> row = {palette[5], palette[12], palette[9]};
  std::byte codes[2];
  EXPECT_EQ(codec.row_bytes(), 2);
  RowEncoder(codec).encode(row.data(), 1, codes);
  EXPECT_EQ(codes[0], std::byte{0xc5});
  EXPECT_EQ(codes[1], std::byte{0x09});
}

TEST(RowCodec, HalvesAreRoundedToTheNearestEven) {
  const RowCodec codec(ElementType::kFloat16, 1);
  const RowEncoder encoder(codec);
  std::uint16_t halves[2];
  float around[2];
  for (std::uint16_t bits = 0; bits < 0x7bff; ++bits) {  // below the greatest
    const std::uint16_t pair[2] = {bits, static_cast<std::uint16_t>(bits + 1)};
    codec.decode_rows(reinterpret_cast<const std::byte*>(pair), 2, around);
    const float middle = (around[0] + around[1]) / 2;
    const float values[] = {around[0], std::nextafter(middle, 0.0F), middle, std::nextafter(middle, 1e9F)};
    const std::uint16_t expected[] = {bits, bits, bits % 2 == 0 ? bits : pair[1], pair[1]};
    for (std::size_t i = 0; i < 4; ++i) {
      const float both[2] = {values[i], -values[i]};
      encoder.encode(both, 2, reinterpret_cast<std::byte*>(halves));
      ASSERT_EQ(halves[0], expected[i]) << values[i];
      ASSERT_EQ(halves[1], expected[i] | 0x8000) << values[i];
    }
  }
}

TEST(RowCodec, ErrorsAreThoseOfEachValue) {
  for (const RowCodec& codec : codecs()) {
    const std::int64_t dim = codec.dim();
    const std::vector<float> rows = random_rows(20 * dim, 9);
    std::vector<std::byte> codes(static_cast<std::size_t>(20 * codec.row_bytes()));
    const RowEncoder encoder(codec);
    encoder.encode(rows.data(), 20, codes.data());
    std::vector<float> decoded(rows.size());
    codec.decode_rows(codes.data(), 20, decoded.data());
    std::vector<float> row(static_cast<std::size_t>(dim));
    CodingErrors errors = encoder.errors(rows.data(), 13, codes.data(), row.data());
    errors.add(encoder.errors(rows.data() + 13 * dim, 7, codes.data() + 13 * codec.row_bytes(), row.data()));
    double largest = 0;
    double sum = 0;
    double cosines = 0;
    for (std::size_t r = 0; r < 20; ++r) {
      double product = 0;
      double norm = 0;
      double other = 0;
      for (std::size_t j = 0; j < static_cast<std::size_t>(dim); ++j) {
        const double x = rows[r * static_cast<std::size_t>(dim) + j];
        const double y = decoded[r * static_cast<std::size_t>(dim) + j];
        largest = std::max(largest, std::abs(x - y));
        sum += std::abs(x - y);
        product += x * y;
        norm += x * x;
        other += y * y;
      }
      cosines += norm * other == 0 ? 0 : product / std::sqrt(norm * other);  // no row here is all zero
    }
    EXPECT_EQ(errors.rows, 20);
    EXPECT_EQ(errors.values, 20 * dim);
    EXPECT_EQ(errors.largest, largest);
    EXPECT_NEAR(errors.sum, sum, 1e-9);
    EXPECT_NEAR(errors.cosine_sum, cosines, 1e-9);
    EXPECT_LE(errors.cosine_least, cosines / 20);
  }
}

TEST(RowCodec, FramesAreTheSameInWhateverBlocks) {
  const test::TemporaryFolder folder;
  for (RowCodec codec : {int8_codec(13, 1), int4_codec(13, 1), int4_codec(40001, 7), int8_codec(40001, 1),
                         RowCodec(ElementType::kFloat16, 13)}) {
    const std::int64_t n = 9;
    const std::vector<float> rows = random_rows(n * codec.dim(), 4);
    auto stored = store::scratch_matrix(folder.path(), codec.stored_type(), n, codec.stored_columns());
    RowEncoder(codec).encode(rows.data(), n, stored.mutable_row(0));
    std::vector<float> expected(rows.size());
    codec.decode_rows(stored.row(0), n, expected.data());
    const FrameMatrix frames(stored, codec);
    EXPECT_EQ(frames.dim(), codec.dim());
    std::vector<float> out(rows.size());
    for (const std::int64_t step : {1, 2, 5, 9}) {
      std::fill(out.begin(), out.end(), -1.0F);
      for (std::int64_t first = 0; first < n; first += step) {
        frames.load(first, std::min(step, n - first), out.data() + first * codec.dim());
      }
      EXPECT_EQ(out, expected) << codec.name() << " " << codec.dim() << " step " << step;
    }
  }
}

/// Layout A with int8 frames [17, 4] or int4 ones of 5 values.
std::string write_quantised(const test::TemporaryFolder& folder, bool int8,
                            const LatentsFile::Edit& edit = nullptr, const RawLayout& layout = {}) {
  return LatentsFile{}.write_in(folder, true, [&](RawH5File& file) {
    std::vector<std::uint8_t> codes(17 * 4);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(i * 41 % 256);
    file.remove("/x");
    file.dataset("/x", int8 ? H5T_STD_I8LE : H5T_STD_U8LE, {17, int8 ? 4 : 3}, codes.data(), layout);
    file.attribute("/x", "quantization", int8 ? "int8" : "int4");
    if (int8) {
      const std::vector<float> scale = {0.5F, 0.25F, 0, 2};
      const std::vector<float> offset = {1, -3, 7, 0};
      file.dataset("/x_quantization/scale", H5T_IEEE_F32LE, {4}, scale.data());
      file.dataset("/x_quantization/offset", H5T_IEEE_F32LE, {4}, offset.data());
    } else {
      file.attribute("/x", "dim", std::int64_t{5});
      file.attribute("/x", "group_size", std::int64_t{2});
      std::vector<float> palette(48);
      for (std::size_t i = 0; i < palette.size(); ++i) palette[i] = static_cast<float>(i);
      file.dataset("/x_quantization/palette", H5T_IEEE_F32LE, {3, 16}, palette.data());
    }
    if (edit) edit(file);
  });
}

TEST(QuantisedLatents, ReadAsTheFormatSays) {
  const test::TemporaryFolder folder;
  for (const bool int8 : {true, false}) {
    const Latents latents = Latents::open(write_quantised(folder, int8));
    EXPECT_EQ(latents.dim(), int8 ? 4 : 5);
    EXPECT_STREQ(latents.codec().name(), int8 ? "int8" : "int4");
    ASSERT_TRUE(latents.mappable());
    const FrameMatrix frames(latents.map_frames(), latents.codec());
    std::vector<float> row(static_cast<std::size_t>(latents.dim()));
    frames.load(3, 1, row.data());
    if (int8) {  // codes 12 .. 15 of the sequence: -20, 21, 62, 103
      EXPECT_EQ(row, (std::vector<float>{1 + 0.5F * -20, -3 + 0.25F * 21, 7, 2 * 103}));
    } else {  // bytes 9 .. 11: 0x71, 0x9a, 0xc3
      EXPECT_EQ(row, (std::vector<float>{1, 7, 16 + 10, 16 + 9, 32 + 3}));
    }
  }
}

TEST(QuantisedLatents, ChunkedOnesAreReadToo) {
  const test::TemporaryFolder folder;
  const Latents latents = Latents::open(write_quantised(folder, true, nullptr, {.chunk = {5, 4}, .gzip = 1}));
  EXPECT_FALSE(latents.mappable());
  std::vector<std::byte> codes(17 * 4);
  latents.read_frames(0, 17, codes.data());
  EXPECT_EQ(codes[67], std::byte{67 * 41 % 256});
}

LatentsFile::Edit replace_floats(const std::string& name, const std::vector<float>& values,
                                 const std::vector<std::int64_t>& shape) {
  return [=](RawH5File& file) {
    file.remove(name);
    file.dataset(name, H5T_IEEE_F32LE, shape, values.data());
  };
}

TEST(QuantisedLatents, WrongTablesAreRejected) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::string tables = "/x_quantization/";
  struct Damage {
    bool int8;
    LatentsFile::Edit edit;
    std::string message;
  };
  const auto set = [](const std::string& name, const auto& value) -> LatentsFile::Edit {
    return [=](RawH5File& file) { file.attribute("/x", name, value); };
  };
  const auto without = [](const std::string& name) -> LatentsFile::Edit {
    return [=](RawH5File& file) { file.remove(name); };
  };
  const std::vector<Damage> damages = {
      {true, set("quantization", std::string("int3")), "/x: attribute quantization is \"int3\""},
      {true, set("quantization", std::int64_t{8}), "attribute quantization is not a string"},
      {true, set("quantization", std::string("int4")), "/x: has the wrong type: int4 is kept as uint8"},
      {false, set("quantization", std::string("int8")), "/x: has the wrong type: int8 is kept as int8"},
      {true, [](RawH5File& f) { f.remove_attribute("/x", "quantization"); }, "/x: has the wrong type"},
      {true, set("group_size", std::int64_t{0}), "group_size is 0; 1 to 4"},
      {true, set("group_size", std::int64_t{5}), "group_size is 5; 1 to 4"},
      {true, set("group_size", std::int64_t{2}), "scale: has another shape than [2]"},
      {true, without(tables + "scale"), "/x_quantization/scale: is missing"},
      {true, without(tables + "offset"), "/x_quantization/offset: is missing"},
      {true, without("/x_quantization"), "/x_quantization/scale: is missing"},
      {true, replace_floats(tables + "scale", {1, 1, 1}, {3}), "scale: has another shape than [4]"},
      {true, replace_floats(tables + "scale", {1, 1, -1, 1}, {4}), "scale: holds -1 for group 2"},
      {true, replace_floats(tables + "scale", {1, nan, 1, 1}, {4}), "scale: holds nan for group 1"},
      {true, replace_floats(tables + "offset", {0, 0, 0, nan}, {4}), "in group 3"},
      {true, replace_floats(tables + "offset", {2e15F, 0, 0, 0}, {4}), "in group 0"},
      {true, replace_floats(tables + "scale", {1e13F, 0, 0, 0}, {4}), "in group 0"},
      {true,
       [&](RawH5File& f) {
         f.remove("/x_quantization/scale");
         f.ints("/x_quantization/scale", {1, 1, 1, 1});
       },
       "scale: has the wrong type: float32"},
      {false, [](RawH5File& f) { f.remove_attribute("/x", "dim"); }, "/x: attribute dim is missing"},
      {false, set("dim", std::int64_t{4}), "/x: attribute dim is 4, but rows have 3 bytes"},
      {false, set("dim", std::int64_t{7}), "/x: attribute dim is 7"},
      {false, set("dim", std::int64_t{-5}), "/x: attribute dim is -5"},
      {false, set("dim", std::numeric_limits<std::int64_t>::max()), "/x: attribute dim is 9"},
      {false, replace_floats(tables + "palette", std::vector<float>(45), {3, 15}),
       "another shape than [3, 16]"},
      {false, replace_floats(tables + "palette", std::vector<float>(48, nan), {3, 16}), "code 0 of group 0"},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.message);
    const test::TemporaryFolder folder;
    const std::string path = write_quantised(folder, damage.int8, damage.edit);
    expect_error(ErrorKind::kData, damage.message, [&] { Latents::open(path); });
    expect_error(ErrorKind::kData, path, [&] { Latents::open(path); });
  }
}

TEST(QuantisedLatents, RowsThatAreTooWideAreRejected) {
  const test::TemporaryFolder folder;
  const std::int64_t wide = (std::int64_t{1} << 20) + 1;
  const std::string path = write_quantised(folder, true, [&](RawH5File& file) {
    file.remove("/x");
    const std::vector<std::int8_t> codes(static_cast<std::size_t>(17 * wide));
    file.dataset("/x", H5T_STD_I8LE, {17, wide}, codes.data());
    file.attribute("/x", "quantization", "int8");
  });
  expect_error(ErrorKind::kData, "quantised rows have at most 1048576", [&] { Latents::open(path); });
}

TEST(QuantisedLatents, CannotStandInLayoutB) {
  const test::TemporaryFolder folder;
  const std::string path = LatentsFile{}.write_in(folder, false, [](RawH5File& file) {
    const std::vector<std::int8_t> codes(12);
    file.remove("/a-utt/x");
    file.dataset("/a-utt/x", H5T_STD_I8LE, {3, 4}, codes.data());
    file.attribute("/a-utt/x", "quantization", "int8");
  });
  expect_error(ErrorKind::kData, "/a-utt/x: has the wrong type", [&] { Latents::open(path); });
}

}  // namespace
}  // namespace phase0::data
