#include "sources/kaldi_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/check.h"

namespace phase0::sources {
namespace {

constexpr std::int32_t kRangeTolerance = 3;

/// Takes numbers off a header.
class Header {
 public:
  Header(const InputFile& file, std::int64_t offset, const std::string& sequence)
      : file_(file), at_(offset), sequence_(sequence) {}

  std::int64_t at() const { return at_; }
  template <typename T>
  T take() {
    if (file_.size() - at_ < static_cast<std::int64_t>(sizeof(T))) fail("the file ends within a matrix");
    T value{};
    file_.read(at_, sizeof(T), &value);
    at_ += static_cast<std::int64_t>(sizeof(T));
    return value;
  }
  /// A number behind its size, which is 4.
  std::int32_t take_sized() {
    if (take<char>() != 4) fail("the header of the matrix is damaged: a size of 4 bytes was expected");
    return take<std::int32_t>();
  }
  /// `FM` and so on, without the blank behind it.
  std::string take_token() {
    constexpr std::size_t kLongest = 8;
    std::string token;
    for (char c = take<char>(); c != ' '; c = take<char>()) {
      if (token.size() == kLongest || c < ' ') fail("the header of the matrix is damaged: no type");
      token += c;
    }
    return token;
  }
  [[noreturn]] void fail(const std::string& why) const { file_.fail(why, at_, sequence_); }

 private:
  const InputFile& file_;
  std::int64_t at_;
  const std::string& sequence_;
};

KaldiLayout layout_of(const std::string& token, const Header& header) {
  if (token == "FM") return KaldiLayout::kFloat;
  if (token == "DM") return KaldiLayout::kDouble;
  if (token == "CM") return KaldiLayout::kPercentile;
  if (token == "CM2") return KaldiLayout::kTwoByte;
  if (token == "CM3") return KaldiLayout::kOneByte;
  if (token == "FV" || token == "DV") header.fail("is a vector; a matrix of frames was expected");
  header.fail("is not a matrix: its type is none of FM, DM, CM, CM2, CM3");
}

bool is_compressed(KaldiLayout layout) {
  return layout != KaldiLayout::kFloat && layout != KaldiLayout::kDouble;
}

std::int64_t value_bytes(KaldiLayout layout) {
  switch (layout) {
    case KaldiLayout::kFloat:
      return 4;
    case KaldiLayout::kDouble:
      return 8;
    case KaldiLayout::kTwoByte:
      return 2;
    case KaldiLayout::kPercentile:
    case KaldiLayout::kOneByte:
      return 1;
  }
  PHASE0_CHECK(false && "a known layout");
  return 0;
}

}  // namespace

std::int64_t KaldiMatrix::bytes() const {
  // At most 2^31 x 2^31 x 8 would not fit: the caller looks at the rows first.
  const std::int64_t scales = layout == KaldiLayout::kPercentile ? kKaldiScaleBytes * columns : 0;
  std::int64_t values = 0;
  if (__builtin_mul_overflow(std::int64_t{rows} * columns, value_bytes(layout), &values) ||
      __builtin_add_overflow(values, scales, &values)) {
    return -1;
  }
  return values;
}

KaldiMatrix read_kaldi_header(const InputFile& file, std::int64_t offset, const std::string& sequence) {
  Header header(file, offset, sequence);
  if (header.take<char>() != '\0' || header.take<char>() != 'B') {
    file.fail("is not a binary matrix; write text archives as binary ones (copy-feats ark:IN ark:OUT)",
              offset, sequence);
  }
  KaldiMatrix matrix;
  matrix.layout = layout_of(header.take_token(), header);
  if (is_compressed(matrix.layout)) {
    matrix.min_value = header.take<float>();
    matrix.range = header.take<float>();
    matrix.rows = header.take<std::int32_t>();
    matrix.columns = header.take<std::int32_t>();
  } else {
    matrix.rows = header.take_sized();
    matrix.columns = header.take_sized();
  }
  if (matrix.rows < 1 || matrix.columns < 1) {
    header.fail(
        fmt::format("the matrix is {} x {}; it must have frames and values", matrix.rows, matrix.columns));
  }
  matrix.data = header.at();
  const std::int64_t bytes = matrix.bytes();
  if (bytes < 0 || bytes > file.size() - matrix.data) {
    header.fail(
        fmt::format("a matrix of {} x {} reaches past the end of the file", matrix.rows, matrix.columns));
  }
  matrix.n_rows = matrix.rows;
  matrix.n_columns = matrix.columns;
  return matrix;
}

bool select_range(KaldiMatrix& matrix, const KaldiRange& rows, const KaldiRange& columns,
                  const InputFile& file, const std::string& sequence) {
  std::int64_t last_row = rows.last < 0 ? matrix.rows - 1 : rows.last;
  const std::int32_t last_column = columns.last < 0 ? matrix.columns - 1 : columns.last;
  const bool rows_fit = rows.first < matrix.rows && rows.first <= last_row &&
                        last_row < std::int64_t{matrix.rows} + kRangeTolerance;
  if (!rows_fit || columns.first > last_column || last_column >= matrix.columns) {
    file.fail(fmt::format("the range [{}:{},{}:{}] is not inside a matrix of {} x {}", rows.first, last_row,
                          columns.first, last_column, matrix.rows, matrix.columns),
              -1, sequence);
  }
  const bool cut = last_row >= matrix.rows;
  last_row = std::min<std::int64_t>(last_row, matrix.rows - 1);
  matrix.first_row = rows.first;
  matrix.n_rows = static_cast<std::int32_t>(last_row - rows.first + 1);
  matrix.first_column = columns.first;
  matrix.n_columns = last_column - columns.first + 1;
  return cut;
}

}  // namespace phase0::sources
