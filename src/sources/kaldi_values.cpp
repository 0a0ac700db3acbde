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

template <typename Stored, typename Decoded, typename Decode>
void decode_run(const std::byte* from, std::int64_t n, std::byte* out, const Decode& decode) {
  for (std::int64_t i = 0; i < n; ++i) {
    const Decoded value = decode(load_value<Stored>(from, i));
    std::memcpy(out + i * static_cast<std::int64_t>(sizeof(Decoded)), &value, sizeof(Decoded));
  }
}

/// The selected values of rows that are longer than a piece, some at a time.
template <typename Stored, typename Decoded, typename Decode>
void read_wide_rows(const KaldiMatrix& m, const InputFile& file, std::int64_t first, std::int64_t n,
                    std::byte* out, const Decode& decode) {
  constexpr std::int64_t kStored = sizeof(Stored);
  constexpr std::int64_t kDecoded = sizeof(Decoded);
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(kPieceBytes, kStored * m.n_columns)));
  const std::int64_t together = std::ssize(piece) / kStored;
  for (std::int64_t r = 0; r < n; ++r) {
    const std::int64_t row = (m.first_row + first + r) * m.columns + m.first_column;
    for (std::int64_t c = 0; c < m.n_columns; c += together) {
      const std::int64_t count = std::min(together, m.n_columns - c);
      file.read(m.data + (row + c) * kStored, count * kStored, piece.data());
      decode_run<Stored, Decoded>(piece.data(), count, out + (r * m.n_columns + c) * kDecoded, decode);
    }
  }
}

/// Rows of a matrix that lies row after row, decoded by `decode(stored value)`.
template <typename Stored, typename Decoded, typename Decode>
void read_by_rows(const KaldiMatrix& m, const InputFile& file, std::int64_t first, std::int64_t n,
                  std::byte* out, const Decode& decode) {
  constexpr std::int64_t kStored = sizeof(Stored);
  constexpr std::int64_t kDecoded = sizeof(Decoded);
  const std::int64_t row_bytes = kStored * m.columns;
  if (row_bytes > kPieceBytes) return read_wide_rows<Stored, Decoded>(m, file, first, n, out, decode);
  const std::int64_t together = kPieceBytes / row_bytes;
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min(together, n) * row_bytes));
  for (std::int64_t done = 0; done < n; done += together) {
    const std::int64_t count = std::min(together, n - done);
    file.read(m.data + (m.first_row + first + done) * row_bytes, count * row_bytes, piece.data());
    for (std::int64_t r = 0; r < count; ++r) {
      decode_run<Stored, Decoded>(piece.data() + r * row_bytes + m.first_column * kStored, m.n_columns,
                                  out + (done + r) * m.n_columns * kDecoded, decode);
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

void decode_column(const Scale& scale, const std::byte* values, std::int64_t n, std::byte* out,
                   std::int64_t row_values) {
  for (std::int64_t r = 0; r < n; ++r) {
    const float value = scale.decode(static_cast<std::uint8_t>(values[r]));
    std::memcpy(out + r * row_values * 4, &value, sizeof value);
  }
}

/// Of those that are selected.
struct ColumnRun {
  std::int64_t first = 0, n = 0;
  const std::byte* scales = nullptr;
};

/// As many whole columns at once as there is room for when all rows are wanted, else one after the other.
void read_columns(const KaldiMatrix& m, const InputFile& file, const ColumnRun& run, std::int64_t first,
                  std::int64_t n, std::byte* out) {
  const std::int64_t values = m.data + kKaldiScaleBytes * m.columns;
  const std::int64_t rows = std::min(n, kPieceBytes / 2);
  const std::int64_t together = rows == m.rows ? std::max<std::int64_t>(kPieceBytes / 2 / rows, 1) : 1;
  std::vector<std::byte> piece(static_cast<std::size_t>(rows * std::min(together, run.n)));
  for (std::int64_t row = 0; row < n; row += rows) {
    const std::int64_t count = std::min(rows, n - row);
    for (std::int64_t c = 0; c < run.n; c += together) {
      const std::int64_t columns = std::min(together, run.n - c);
      file.read(values + (m.first_column + run.first + c) * m.rows + m.first_row + first + row,
                columns * count, piece.data());
      for (std::int64_t k = 0; k < columns; ++k) {
        decode_column(Scale(m, run.scales + kKaldiScaleBytes * (c + k)), piece.data() + k * count, count,
                      out + (row * m.n_columns + run.first + c + k) * 4, m.n_columns);
      }
    }
  }
}

/// As many columns at a time as there is room for their scales.
void read_by_columns(const KaldiMatrix& m, const InputFile& file, std::int64_t first, std::int64_t n,
                     std::byte* out) {
  constexpr std::int64_t kTogether = kPieceBytes / 2 / kKaldiScaleBytes;
  std::vector<std::byte> scales(
      static_cast<std::size_t>(kKaldiScaleBytes * std::min<std::int64_t>(kTogether, m.n_columns)));
  for (std::int64_t c = 0; c < m.n_columns; c += kTogether) {
    const std::int64_t columns = std::min(kTogether, m.n_columns - c);
    file.read(m.data + kKaldiScaleBytes * (m.first_column + c), kKaldiScaleBytes * columns, scales.data());
    read_columns(m, file, {c, columns, scales.data()}, first, n, out);
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
