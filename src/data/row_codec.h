#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/element_type.h"
#include "store/h5_reader.h"
#include "store/h5_writer.h"

namespace phase0::data {

/// Values that a code of 4 bits can stand for.
inline constexpr std::int64_t kPaletteEntries = 16;

/// Rows of `dim` values kept in few bits. A group is `group` consecutive columns (the last may have fewer)
/// with a scale and an offset, or a palette, of its own.
struct Quantization {
  enum class Kind { kInt8, kInt4 };

  Kind kind = Kind::kInt8;
  std::int64_t group = 1;
  std::vector<float> scale, offset;  ///< of kInt8: [groups]; a value is offset + scale * code, in float32
  std::vector<float> palette;        ///< of kInt4: [groups, 16]; a value is palette[code]
};

/// How a 2-d dataset keeps rows of `dim` values: as floats, or quantised (data/FORMAT.md, "Quantised
/// frames"). Immutable, cheap to copy, thread-safe.
class RowCodec {
 public:
  RowCodec() = default;
  /// float16, float32 or float64.
  RowCodec(store::ElementType type, std::int64_t dim);
  /// The tables must be as `Quantization` says for `dim` columns.
  RowCodec(Quantization quantization, std::int64_t dim);

  std::int64_t dim() const { return dim_; }
  bool quantised() const { return tables_ != nullptr; }
  /// None unless quantised().
  const Quantization* quantization() const;
  /// Of an element of the dataset, and how many a row has.
  store::ElementType stored_type() const;
  std::int64_t stored_columns() const;
  std::int64_t row_bytes() const { return bytes_of(dim_); }
  /// `float16`, `float32`, `float64`, `int8` or `int4`.
  const char* name() const;
  /// Memory of the tables.
  std::int64_t table_bytes() const;

  /// Of the first n values of a row; whole ones.
  std::int64_t bytes_of(std::int64_t n) const {
    return type_ == store::ElementType::kUInt8 ? (n + 1) / 2 : n * store::element_size(type_);
  }

  /// Values [column, column + n) of a row, whose bytes begin at `stored`, aligned to an element; `column` is
  /// even for int4. As float32, in the same bits wherever they stand and with whatever kernels.
  void decode(const std::byte* stored, std::int64_t column, std::int64_t n, float* out) const;
  /// Whole rows, one after the other; not in place.
  void decode_rows(const std::byte* stored, std::int64_t n_rows, float* out) const;

 private:
  struct Tables;
  store::ElementType type_ = store::ElementType::kFloat32;
  std::int64_t dim_ = 0;
  std::shared_ptr<const Tables> tables_;  ///< none unless quantised
};

/// Largest magnitude that tables may decode to: kLargestFrameValue and the rounding of a code.
inline constexpr float kLargestDecodedValue = 1.0001e15f;

/// Where the tables of `dataset` stand.
std::string tables_group(const std::string& dataset);

/// Whether `dataset` says that it is quantised.
bool is_quantised(const store::H5Reader& file, const std::string& dataset);
/// How a dataset that is_quantised() keeps its rows. Checks kind, shape, types and tables. Throws Error of
/// the file's damage kind.
RowCodec read_quantised(const store::H5Reader& file, const std::string& dataset,
                        ErrorKind damage = ErrorKind::kData);

/// Declares `dataset` [n_rows, ...] for what the codec makes of rows, which are streamed later, and writes
/// its tables.
void declare_rows(store::H5Writer& file, const std::string& dataset, const RowCodec& codec,
                  std::int64_t n_rows);

}  // namespace phase0::data
