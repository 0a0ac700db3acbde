#pragma once

#include <cstdint>
#include <string>

#include "sources/input_file.h"
#include "store/element_type.h"

namespace phase0::sources {

/// How a binary Kaldi matrix lies in its file.
enum class KaldiLayout : std::uint8_t {
  kFloat,       ///< FM: float32, row after row
  kDouble,      ///< DM: float64, row after row
  kPercentile,  ///< CM: a byte a value, column after column, on a scale of each column's own
  kTwoByte,     ///< CM2: uint16 a value, row after row, on one scale
  kOneByte,     ///< CM3: a byte a value, row after row, on one scale
};

/// Inclusive, as Kaldi writes them; `last` -1 is the end.
struct KaldiRange {
  std::int32_t first = 0;
  std::int32_t last = -1;
};

/// A matrix of an archive, or a rectangle of it: which frames are there and where. Compressed ones decode to
/// float32 with the same operations in the same order as Kaldi's CompressedMatrix::CopyToMat.
struct KaldiMatrix {
  std::int64_t data = 0;     ///< offset of the first value; of kPercentile, of the columns' scales
  float min_value = 0;       ///< of the compressed ones
  float range = 0;           ///< of the compressed ones
  std::int32_t rows = 0;     ///< of the whole matrix
  std::int32_t columns = 0;  ///< of the whole matrix
  std::int32_t first_row = 0, n_rows = 0;
  std::int32_t first_column = 0, n_columns = 0;
  KaldiLayout layout = KaldiLayout::kFloat;

  store::ElementType type() const {
    return layout == KaldiLayout::kDouble ? store::ElementType::kFloat64 : store::ElementType::kFloat32;
  }
  /// Bytes of the whole matrix from `data` on.
  std::int64_t bytes() const;
};

/// Reads the header at `offset` and checks the matrix against the file's end. Throws Error (kData) that names
/// `sequence`, for text, vectors and anything else that is no binary matrix too.
KaldiMatrix read_kaldi_header(const InputFile& file, std::int64_t offset, const std::string& sequence);

/// Narrows a whole matrix. As in Kaldi, up to 3 rows past the end are cut off; gives whether there were any.
/// Throws Error (kData) when the range is not inside.
bool select_range(KaldiMatrix& matrix, const KaldiRange& rows, const KaldiRange& columns,
                  const InputFile& file, const std::string& sequence);

/// Rows [first, first + n) of what is selected into out [n, n_columns].
void read_kaldi_rows(const KaldiMatrix& matrix, const InputFile& file, std::int64_t first, std::int64_t n,
                     std::byte* out);

/// The scale of a column of kPercentile: four uint16.
inline constexpr std::int64_t kKaldiScaleBytes = 8;
/// Memory of read_kaldi_rows, at most.
inline constexpr std::int64_t kKaldiReadBytes = std::int64_t{2} << 20;

}  // namespace phase0::sources
