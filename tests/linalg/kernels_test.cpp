#include "linalg/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "phase0/error.h"

namespace phase0::linalg {
namespace {

TEST(Kernels, HalfToFloatIsExactForEveryHalf) {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<float> floats(halves.size());
  for (const Kernels* table : available_kernels()) {
    table->half_to_float(halves.data(), floats.data(), std::ssize(halves));
    for (std::size_t i = 0; i < halves.size(); ++i) {
      const int exponent = static_cast<int>(i >> 10) & 31;
      const int mantissa = static_cast<int>(i) & 1023;
      const double sign = (i >> 15) != 0 ? -1.0 : 1.0;
      if (exponent == 31) {
        EXPECT_EQ(std::isnan(floats[i]), mantissa != 0);
        EXPECT_EQ(std::isinf(floats[i]), mantissa == 0);
        continue;
      }
      const double expected =
          sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
      EXPECT_EQ(static_cast<double>(floats[i]), expected) << table->name << " half " << i;
      EXPECT_EQ(std::signbit(floats[i]), sign < 0);
    }
  }
}

TEST(Kernels, CodesDecodeToTheSameBits) {
  core::Random random(5);
  for (const std::int64_t n : {1, 2, 7, 16, 100, 513}) {
    const auto size = static_cast<std::size_t>(n);
    std::vector<std::int8_t> codes(size);
    std::vector<std::uint8_t> pairs((size + 1) / 2);
    std::vector<float> scale(size), offset(size), palettes(16 * size);
    for (auto& code : codes) code = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
    for (auto& pair : pairs) pair = static_cast<std::uint8_t>(random.below(256));
    for (auto* values : {&scale, &offset, &palettes}) {
      for (float& value : *values) value = static_cast<float>(random.normal());
    }
    for (const Kernels* table : available_kernels()) {
      std::vector<float> out(size + 1, 77.0F);
      table->int8_to_float(codes.data(), scale.data(), offset.data(), out.data(), n);
      for (std::size_t i = 0; i < size; ++i) {
        const float product = scale[i] * static_cast<float>(codes[i]);
        EXPECT_EQ(out[i], offset[i] + product) << table->name;
      }
      EXPECT_EQ(out[size], 77.0F);
      table->int4_to_float(pairs.data(), palettes.data(), out.data(), n);
      for (std::size_t i = 0; i < size; ++i) {
        const std::size_t code = i % 2 == 0 ? pairs[i / 2] & 15U : pairs[i / 2] >> 4U;
        EXPECT_EQ(out[i], palettes[16 * i + code]) << table->name;
      }
      EXPECT_EQ(out[size], 77.0F);
    }
  }
}

TEST(Kernels, FixedPointSumsDoNotDependOnOrder) {
  core::Random random(11);
  const std::int64_t n = 1000;
  const std::int64_t d = 13;
  std::vector<float> x(static_cast<std::size_t>(n * d));
  for (float& value : x)
    value = static_cast<float>(random.normal() * std::pow(10.0, random.uniform() * 6 - 4));
  std::vector<float> shift(13);
  for (float& value : shift) value = static_cast<float>(random.normal());
  const double scale = 0x1p30;
  for (const Kernels* table : available_kernels()) {
    std::vector<std::int64_t> forward(13, 0);
    std::vector<std::int64_t> backward(13, 0);
    for (std::int64_t r = 0; r < n; ++r) {
      table->accumulate_fixed(x.data() + r * d, shift.data(), scale, forward.data(), d);
      table->accumulate_fixed(x.data() + (n - 1 - r) * d, shift.data(), scale, backward.data(), d);
    }
    EXPECT_EQ(forward, backward);
    for (std::int64_t j = 0; j < d; ++j) {
      double exact = 0;
      for (std::int64_t r = 0; r < n; ++r)
        exact += std::nearbyint((static_cast<double>(x[r * d + j]) - static_cast<double>(shift[j])) * scale);
      const auto bias = static_cast<std::uint64_t>(n) * std::bit_cast<std::uint64_t>(kFixedMagic);
      EXPECT_EQ(static_cast<std::int64_t>(static_cast<std::uint64_t>(forward[j]) - bias),
                static_cast<std::int64_t>(exact));
    }
  }
}

TEST(Kernels, NormsAndDistancesMatchFloat64) {
  core::Random random(12);
  for (const std::int64_t d : {1, 7, 8, 16, 24, 33, 512}) {
    std::vector<float> x(static_cast<std::size_t>(3 * d));
    std::vector<float> shift(static_cast<std::size_t>(d));
    for (float& value : x) value = static_cast<float>(random.normal());
    for (float& value : shift) value = static_cast<float>(random.normal());
    for (const Kernels* table : available_kernels()) {
      std::vector<float> out(x.size());
      float norms[3];
      table->shift_and_norms(x.data(), shift.data(), out.data(), norms, 3, d);
      for (std::int64_t r = 0; r < 3; ++r) {
        double exact = 0;
        for (std::int64_t j = 0; j < d; ++j) {
          EXPECT_EQ(out[r * d + j], x[r * d + j] - shift[j]);
          exact += static_cast<double>(out[r * d + j]) * static_cast<double>(out[r * d + j]);
        }
        EXPECT_NEAR(norms[r], exact, 1e-5 * exact);
        EXPECT_NEAR(table->squared_distance(x.data() + r * d, shift.data(), d), exact, 1e-6 * exact);
      }
    }
  }
}

void expect_scores(const float* x, const std::vector<float>& packed, const std::vector<float>& norms,
                   std::int64_t d, std::vector<float> scores, const LeastTwo& found) {
  const std::int64_t n = std::ssize(norms);
  for (std::int64_t c = 0; c < n; ++c) {
    double score = norms[static_cast<std::size_t>(c)];
    double size = std::abs(score);
    for (std::int64_t j = 0; j < d; ++j) {
      const double product =
          static_cast<double>(x[j]) * static_cast<double>(packed[static_cast<std::size_t>(j * n + c)]);
      score += product;
      size += std::abs(product);
    }
    EXPECT_NEAR(scores[static_cast<std::size_t>(c)], score, static_cast<double>(d / 2 + 8) * 0x1p-24 * size);
  }
  const float of_column = scores[static_cast<std::size_t>(found.column)];
  std::sort(scores.begin(), scores.end());
  EXPECT_EQ(found.least, scores[0]);
  EXPECT_EQ(found.second, scores[1]);
  EXPECT_EQ(of_column, scores[0]);
}

TEST(Kernels, FloatDistancesAndScoresMatchFloat64) {
  core::Random random(13);
  for (const std::int64_t d : {1, 3, 8, 31, 32, 40, 513}) {
    constexpr std::int64_t kColumns = 24;
    std::vector<float> x(static_cast<std::size_t>(kScoreRows * d));
    std::vector<float> packed(static_cast<std::size_t>(d * kColumns));
    std::vector<float> norms(kColumns);
    for (auto* values : {&x, &packed, &norms}) {
      for (float& value : *values) value = static_cast<float>(random.normal());
    }
    for (const Kernels* table : available_kernels()) {
      const double distance = table->squared_distance(x.data(), packed.data(), d);
      EXPECT_NEAR(table->squared_distance_float(x.data(), packed.data(), d), distance,
                  static_cast<double>(d + 4) * 0x1p-24 * distance);
      for (const std::int64_t n_rows : {std::int64_t{1}, kScoreRows}) {
        std::vector<std::vector<float>> scores(static_cast<std::size_t>(n_rows),
                                               std::vector<float>(kColumns));
        const float* rows[kScoreRows];
        float* out[kScoreRows];
        for (std::int64_t r = 0; r < n_rows; ++r) {
          rows[r] = x.data() + r * d;
          out[r] = scores[static_cast<std::size_t>(r)].data();
        }
        LeastTwo found[kScoreRows];
        const auto kernel = n_rows == 1 ? table->score_row : table->score_rows;
        kernel(rows, packed.data(), norms.data(), kColumns, d, out, found);
        for (std::int64_t r = 0; r < n_rows; ++r) {
          expect_scores(rows[r], packed, norms, d, scores[static_cast<std::size_t>(r)], found[r]);
        }
      }
    }
  }
}

TEST(Kernels, AddToSlotsAddsInOrder) {
  core::Random random(14);
  std::vector<double> z(10 * kSlotWidth);
  std::vector<double> norms(10);
  for (double& value : z) value = random.normal();
  for (double& value : norms) value = random.normal();
  std::vector<SlotPair> pairs;
  for (int i = 0; i < 100; ++i) {
    pairs.push_back(
        {static_cast<std::int32_t>(random.below(10)), static_cast<std::int32_t>(random.below(4))});
  }
  std::vector<double> expected(4 * kSlotWidth, 0.5);
  std::vector<double> expected_squares(4 * kSlotWidth, 0.25);
  std::vector<SlotRows> expected_rows(4, {7, 0.125});
  for (const SlotPair& pair : pairs) {
    for (std::int64_t j = 0; j < kSlotWidth; ++j) {
      const double value = z[pair.row * kSlotWidth + j];
      expected[pair.slot * kSlotWidth + j] += value;
      expected_squares[pair.slot * kSlotWidth + j] += value * value;
    }
    ++expected_rows[pair.slot].count;
    expected_rows[pair.slot].norm += norms[pair.row];
  }
  for (const Kernels* table : available_kernels()) {
    for (const bool with_squares : {false, true}) {
      std::vector<double> sums(expected.size(), 0.5);
      std::vector<double> squares(expected.size(), 0.25);
      std::vector<SlotRows> rows(4, {7, 0.125});
      table->add_to_slots(pairs.data(), std::ssize(pairs), z.data(), norms.data(),
                          {rows.data(), sums.data(), with_squares ? squares.data() : nullptr});
      EXPECT_EQ(sums, expected) << table->name;
      EXPECT_EQ(squares, with_squares ? expected_squares : std::vector<double>(expected.size(), 0.25));
      for (std::size_t slot = 0; slot < 4; ++slot) {
        EXPECT_EQ(rows[slot].count, expected_rows[slot].count) << table->name;
        EXPECT_EQ(rows[slot].norm, expected_rows[slot].norm) << table->name;
      }
    }
  }
}

TEST(Kernels, NormalisedTilesAreTheSameOnAllKernels) {
  core::Random random(15);
  std::vector<float> x(kSlotWidth);
  std::vector<double> mean(kSlotWidth);
  std::vector<double> scale(kSlotWidth);
  for (std::int64_t width : {1, 7, 8, 30, 64}) {
    for (std::size_t j = 0; j < x.size(); ++j) {
      x[j] = static_cast<float>(1e4 + random.normal());
      mean[j] = 1e4 + random.normal();
      scale[j] = 0.1 + random.uniform();
    }
    double lanes[8] = {};
    std::vector<double> expected(kSlotWidth, 0.0);
    for (std::int64_t j = 0; j < width; ++j) {
      expected[j] = (static_cast<double>(x[j]) - mean[j]) * scale[j];
      lanes[j % 8] += expected[j] * expected[j];
    }
    const double norm =
        ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    for (const Kernels* table : available_kernels()) {
      std::vector<double> z(kSlotWidth, -1.0);
      EXPECT_EQ(table->normalise_tile(x.data(), mean.data(), scale.data(), width, z.data()), norm);
      EXPECT_EQ(z, expected) << table->name << " " << width;
      EXPECT_EQ(table->tile_norm(z.data()), norm) << table->name;
      std::vector<double> sum(kSlotWidth, 0.5);
      table->add_tile(z.data(), sum.data());
      for (std::size_t j = 0; j < sum.size(); ++j) EXPECT_EQ(sum[j], 0.5 + z[j]) << table->name;
    }
  }
}

TEST(Kernels, AChoiceIsTakenOrRefusedWithTheOnesThereAre) {
  const auto tables = available_kernels();
  const auto has = [&](const std::string& name) {
    return std::any_of(tables.begin(), tables.end(),
                       [&](const Kernels* table) { return name == table->name; });
  };
  const std::pair<KernelChoice, const char*> choices[] = {{KernelChoice::kPortable, "portable"},
                                                          {KernelChoice::kAvx2, "avx2"},
                                                          {KernelChoice::kAvx512, "avx512"},
                                                          {KernelChoice::kAmx, "amx"}};
  for (const auto& [choice, name] : choices) {
    if (has(name)) {
      EXPECT_STREQ(select_kernels(choice).name, name);
      EXPECT_STREQ(kernels().name, name);
      continue;
    }
    try {
      select_kernels(choice);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      const std::string message = error.what();
      EXPECT_NE(message.find(std::string("compute.kernels: ") + name + " is not available"),
                std::string::npos);
      for (const Kernels* table : tables) EXPECT_NE(message.find(table->name), std::string::npos);
    }
  }
  EXPECT_TRUE(has("portable"));
  EXPECT_STREQ(select_kernels(KernelChoice::kAuto).name, tables.front()->name);
}

TEST(Kernels, MeansMatchFloat64) {
  core::Random random(13);
  for (const std::int64_t w : {1, 5, 8}) {
    for (const std::int64_t d : {1, 15, 16, 33}) {
      std::vector<float> frames(static_cast<std::size_t>(w * d));
      for (float& value : frames) value = static_cast<float>(1e4 + random.normal());
      for (const Kernels* table : available_kernels()) {
        std::vector<float> mean(static_cast<std::size_t>(d));
        table->mean_rows(frames.data(), w, d, mean.data());
        for (std::int64_t j = 0; j < d; ++j) {
          double sum = 0;
          for (std::int64_t i = 0; i < w; ++i) sum += static_cast<double>(frames[i * d + j]);
          EXPECT_EQ(mean[j], static_cast<float>(sum / static_cast<double>(w))) << table->name << " " << w;
        }
      }
    }
  }
}

}  // namespace
}  // namespace phase0::linalg
