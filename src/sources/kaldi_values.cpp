#include <algorithm>
#include <cstring>
#include <vector>

#include "core/check.h"
#include "sources/kaldi_matrix.h"

namespace phase0::sources {
namespace {

constexpr std::int64_t kPieceBytes = kKaldiReadBytes / 2;

template <typename T>
T load_value(const std::byte* bytes, std::int64_t i) {
  T value;
  std::memcpy(&value, bytes + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

/// Rows of a matrix that lies row after row, decoded by `decode(stored value)`.
template <typename Stored, typename Decoded, typename Decode>
void read_by_rows(const KaldiMatrix& m, const InputFile& file, std::int64_t first, std::int64_t n,
                  std::byte* out, const Decode& decode) {
  constexpr std::int64_t kStored = sizeof(Stored);
  const std::int64_t row_bytes = kStored * m.columns;
  const std::int64_t together = std::max<std::int64_t>(kPieceBytes / row_bytes, 1);
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(together, n) * row_bytes));
  for (std::int64_t done = 0; done < n; done += together) {
    const std::int64_t count = std::min(together, n - done);
    file.read(m.data + (m.first_row + first + done) * row_bytes, count * row_bytes, piece.data());
    for (std::int64_t r = 0; r < count; ++r) {
      const std::byte* const from = piece.data() + r * row_bytes + m.first_column * kStored;
      for (std::int64_t c = 0; c < m.n_columns; ++c) {
        const Decoded value = decode(load_value<Stored>(from, c));
        std::memcpy(out + ((done + r) * m.n_columns + c) * static_cast<std::int64_t>(sizeof(Decoded)), &value,
                    sizeof(Decoded));
      }
    }
  }
}

/// Kaldi's order of operations, all in float32.
template <typename Stored>
void read_linear(const KaldiMatrix& m, const InputFile& file, std::int64_t first, std::int64_t n,
                 std::byte* out, double largest) {
  const float min_value = m.min_value;
  const auto increment = static_cast<float>(static_cast<double>(m.range) * (1.0 / largest));
  read_by_rows<Stored, float>(m, file, first, n, out, [=](Stored stored) {
    return min_value + static_cast<float>(stored) * increment;
  });
}

/// The four points of a column's scale.
struct Scale {
  float p0, p25, p75, p100;

  Scale(const KaldiMatrix& m, const std::byte* points) {
    const auto point = [&](std::int64_t i) {
      constexpr float kStep = 1.52590218966964e-05F;  // 1 / 65535, to the digits that Kaldi writes
      return m.min_value + m.range * kStep * static_cast<float>(load_value<std::uint16_t>(points, i));
    };
    p0 = point(0);
    p25 = point(1);
    p75 = point(2);
    p100 = point(3);
  }
  /// The products of differences are float32, the rest is float64, as C++ has it for Kaldi's expressions.
  float decode(std::uint8_t value) const {
    const auto between = [](float low, float high, int steps, double step) {
      return static_cast<float>(static_cast<double>(low) +
                                static_cast<double>((high - low) * static_cast<float>(steps)) * step);
    };
    if (value <= 64) return between(p0, p25, value, 1 / 64.0);
    if (value <= 192) return between(p25, p75, value - 64, 1 / 128.0);
    return between(p75, p100, value - 192, 1 / 63.0);
  }
};

/// As many whole columns at once as there is room for when all rows are wanted, else one after the other.
void read_by_columns(const KaldiMatrix& m, const InputFile& file, std::int64_t first, std::int64_t n,
                     std::byte* out) {
  constexpr std::int64_t kScale = 8;
  const std::int64_t values = m.data + kScale * m.columns;
  const std::int64_t rows = std::min(n, kPieceBytes);
  const std::int64_t together = rows == m.rows ? std::max<std::int64_t>(kPieceBytes / rows, 1) : 1;
  std::vector<std::byte> scales(static_cast<std::size_t>(kScale * m.n_columns));
  file.read(m.data + kScale * m.first_column, std::ssize(scales), scales.data());
  std::vector<std::byte> piece(
      static_cast<std::size_t>(rows * std::min<std::int64_t>(together, m.n_columns)));
  for (std::int64_t row = 0; row < n; row += rows) {
    const std::int64_t count = std::min(rows, n - row);
    for (std::int64_t c = 0; c < m.n_columns; c += together) {
      const std::int64_t columns = std::min<std::int64_t>(together, m.n_columns - c);
      file.read(values + (m.first_column + c) * m.rows + m.first_row + first + row, columns * count,
                piece.data());
      for (std::int64_t k = 0; k < columns; ++k) {
        const Scale scale(m, scales.data() + kScale * (c + k));
        for (std::int64_t r = 0; r < count; ++r) {
          const float value =
              scale.decode(static_cast<std::uint8_t>(piece[static_cast<std::size_t>(k * count + r)]));
          std::memcpy(out + ((row + r) * m.n_columns + c + k) * 4, &value, sizeof value);
        }
      }
    }
  }
}

}  // namespace

void read_kaldi_rows(const KaldiMatrix& matrix, const InputFile& file, std::int64_t first, std::int64_t n,
                     std::byte* out) {
  PHASE0_CHECK(first >= 0 && n >= 0 && first <= matrix.n_rows && n <= matrix.n_rows - first);
  if (n == 0) return;
  const bool whole_rows = matrix.n_columns == matrix.columns;
  const std::int64_t row_bytes = std::int64_t{matrix.columns} * store::element_size(matrix.type());
  switch (matrix.layout) {
    case KaldiLayout::kFloat:
    case KaldiLayout::kDouble:
      if (whole_rows) {
        return file.read(matrix.data + (matrix.first_row + first) * row_bytes, n * row_bytes, out);
      }
      if (matrix.layout == KaldiLayout::kFloat) {
        return read_by_rows<float, float>(matrix, file, first, n, out, [](float value) { return value; });
      }
      return read_by_rows<double, double>(matrix, file, first, n, out, [](double value) { return value; });
    case KaldiLayout::kPercentile:
      return read_by_columns(matrix, file, first, n, out);
    case KaldiLayout::kTwoByte:
      return read_linear<std::uint16_t>(matrix, file, first, n, out, 65535.0);
    case KaldiLayout::kOneByte:
      return read_linear<std::uint8_t>(matrix, file, first, n, out, 255.0);
  }
}

}  // namespace phase0::sources
