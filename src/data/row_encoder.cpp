#include "data/row_encoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/check.h"
#include "core/checked.h"

namespace phase0::data {
namespace {

using store::ElementType;

constexpr std::int64_t kBounds = kPaletteEntries - 1;
/// Adding and subtracting this rounds a double of small magnitude to the nearest whole number, halves to
/// even.
constexpr double kRounds = 0x1.8p52;

/// To the nearest, halves to even; |value| <= 65504.
std::uint16_t to_half(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint32_t sign = bits >> 16 & 0x8000U;
  bits &= 0x7fffffffU;
  // Below 2^-14 halves are multiples of 2^-24, and so are floats from 1/2 to 1.
  float small = 0;
  std::memcpy(&small, &bits, sizeof small);
  small += 0.5F;
  std::uint32_t small_bits = 0;
  std::memcpy(&small_bits, &small, sizeof small_bits);
  // The others have 13 bits less: up when what goes is more than half, or half of an odd one.
  const std::uint32_t moved = bits - (112U << 23);
  const std::uint32_t normal = (moved + 0xfffU + (moved >> 13 & 1U)) >> 13;
  return static_cast<std::uint16_t>(sign | (bits < 113U << 23 ? small_bits - 0x3f000000U : normal));
}

/// The largest float32 that is at most `value`: floats lie above the one exactly when above the other.
float rounded_down(double value) {
  const auto nearest = static_cast<float>(value);
  return static_cast<double>(nearest) <= value
             ? nearest
             : std::nextafter(nearest, -std::numeric_limits<float>::infinity());
}

/// Sums of a row in so many parts, for the compiler to keep them in vectors.
constexpr std::int64_t kLanes = 8;
struct RowSums {
  std::array<double, kLanes> largest = {}, error = {}, square = {}, product = {}, norm = {}, decoded = {};

  void add(std::size_t lane, float value, float code) {
    const auto x = static_cast<double>(value);
    const auto y = static_cast<double>(code);
    const double difference = std::abs(x - y);
    largest[lane] = std::max(largest[lane], difference);
    error[lane] += difference;
    square[lane] += difference * difference;
    product[lane] += x * y;
    norm[lane] += x * x;
    decoded[lane] += y * y;
  }
  static double total(const std::array<double, kLanes>& parts) {
    double sum = 0;
    for (const double part : parts) sum += part;
    return sum;
  }
};

/// 1 between two rows of zeros, 0 where one of them alone is.
double cosine(double product, double norm, double decoded) {
  if (norm == 0 && decoded == 0) return 1;
  if (norm == 0 || decoded == 0) return 0;
  return std::clamp(product / (std::sqrt(norm) * std::sqrt(decoded)), -1.0, 1.0);
}

}  // namespace

void CodingErrors::add(const CodingErrors& later) {
  rows += later.rows;
  values += later.values;
  largest = std::max(largest, later.largest);
  sum += later.sum;
  sum_squares += later.sum_squares;
  cosine_sum += later.cosine_sum;
  cosine_least = std::min(cosine_least, later.cosine_least);
}

RowEncoder::RowEncoder(RowCodec codec) : codec_(std::move(codec)) {
  const std::int64_t dim = codec_.dim();
  const Quantization* tables = codec_.quantization();
  if (tables == nullptr) {
    PHASE0_CHECK(codec_.stored_type() == ElementType::kFloat16);
  } else if (tables->kind == Quantization::Kind::kInt8) {
    offset_.resize(dim);
    inverse_.resize(dim);
    for (std::int64_t column = 0; column < dim; ++column) {
      const auto group = static_cast<std::size_t>(column / tables->group);
      offset_[column] = static_cast<double>(tables->offset[group]);
      inverse_[column] = tables->scale[group] > 0 ? 1 / static_cast<double>(tables->scale[group]) : 0;
    }
  } else {
    bounds_.resize(kBounds * dim);
    for (std::int64_t column = 0; column < dim; ++column) {
      const float* palette = tables->palette.data() + column / tables->group * kPaletteEntries;
      for (std::int64_t b = 0; b < kBounds; ++b) {
        PHASE0_CHECK(palette[b] <= palette[b + 1]);
        bounds_[b * dim + column] =
            rounded_down((static_cast<double>(palette[b]) + static_cast<double>(palette[b + 1])) / 2);
      }
    }
  }
}

std::int64_t RowEncoder::most_table_bytes(Quantization::Kind kind, std::int64_t dim) {
  constexpr std::int64_t kCopies = 3;  // by column and by group in the codec, and as fitted
  const bool int8 = kind == Quantization::Kind::kInt8;
  const std::int64_t own = int8 ? 16 : 4 * kBounds;
  const std::int64_t of_codec = 4 * (int8 ? 2 : kPaletteEntries);
  return dim * (own + kCopies * of_codec);
}

void RowEncoder::encode(const float* rows, std::int64_t n_rows, std::byte* out) const {
  for (std::int64_t r = 0; r < n_rows; ++r, rows += codec_.dim(), out += codec_.row_bytes()) {
    switch (codec_.stored_type()) {
      case ElementType::kInt8:
        encode_int8(rows, reinterpret_cast<std::int8_t*>(out));
        break;
      case ElementType::kUInt8:
        encode_int4(rows, reinterpret_cast<std::uint8_t*>(out));
        break;
      default:
        for (std::int64_t j = 0; j < codec_.dim(); ++j) {
          const std::uint16_t half = to_half(rows[j]);
          std::memcpy(out + 2 * j, &half, sizeof half);
        }
    }
  }
}

void RowEncoder::encode_int8(const float* row, std::int8_t* out) const {
  for (std::int64_t j = 0; j < codec_.dim(); ++j) {
    const double code = (static_cast<double>(row[j]) - offset_[j]) * inverse_[j];
    const double limited = code < -128 ? -128 : code > 127 ? 127 : code;
    out[j] = static_cast<std::int8_t>(static_cast<std::int32_t>(limited + kRounds - kRounds));
  }
}

void RowEncoder::encode_int4(const float* row, std::uint8_t* out) const {
  constexpr std::int64_t kTile = 256;
  std::array<std::int32_t, kTile> codes;
  const std::int64_t dim = codec_.dim();
  for (std::int64_t begin = 0; begin < dim; begin += kTile) {
    const std::int64_t n = std::min(kTile, dim - begin);
    codes.fill(0);
    for (std::int64_t b = 0; b < kBounds; ++b) {
      const float* bound = bounds_.data() + b * dim + begin;
      for (std::int64_t j = 0; j < n; ++j) codes[static_cast<std::size_t>(j)] += row[begin + j] > bound[j];
    }
    for (std::int64_t j = 0; j < n; j += 2) {  // behind an odd number stands a 0
      const std::int32_t second = j + 1 < n ? codes[static_cast<std::size_t>(j + 1)] : 0;
      out[(begin + j) / 2] = static_cast<std::uint8_t>(codes[static_cast<std::size_t>(j)] | second << 4);
    }
  }
}

CodingErrors RowEncoder::errors(const float* rows, std::int64_t n_rows, const std::byte* codes,
                                float* decoded) const {
  const std::int64_t dim = codec_.dim();
  CodingErrors errors;
  errors.rows = n_rows;
  errors.values = n_rows * dim;
  for (std::int64_t r = 0; r < n_rows; ++r, rows += dim, codes += codec_.row_bytes()) {
    codec_.decode(codes, 0, dim, decoded);
    RowSums sums;
    std::int64_t j = 0;
    for (; j + kLanes <= dim; j += kLanes) {
      for (std::int64_t l = 0; l < kLanes; ++l)
        sums.add(static_cast<std::size_t>(l), rows[j + l], decoded[j + l]);
    }
    for (std::size_t l = 0; j < dim; ++j, ++l) sums.add(l, rows[j], decoded[j]);
    errors.largest = std::max(errors.largest, *std::max_element(sums.largest.begin(), sums.largest.end()));
    errors.sum += RowSums::total(sums.error);
    errors.sum_squares += RowSums::total(sums.square);
    const double alike =
        cosine(RowSums::total(sums.product), RowSums::total(sums.norm), RowSums::total(sums.decoded));
    errors.cosine_sum += alike;
    errors.cosine_least = std::min(errors.cosine_least, alike);
  }
  return errors;
}

}  // namespace phase0::data
